// Package cosign verifies signatures that `cosign sign-blob` made with a key: a bundle of sigstore, over the bytes of one file. It needs no network, and it
// trusts nothing but the key. Signatures without a key (of an identity, with a certificate) and attestations are refused and named.
package cosign

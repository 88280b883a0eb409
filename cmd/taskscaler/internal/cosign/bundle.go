package cosign

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// BundleType is the media type of a bundle.
const BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

const signIt = "sign the file with `cosign sign-blob --key cosign.key --bundle FILE`, cosign 3 or newer"

// Bundle is a signature of one file.
type Bundle struct {
	From      string // the file that it is from, or its digest in a registry
	Raw       []byte
	sum       []byte // SHA-256, of the file that it says it signs
	signature []byte
	hint      string // the fingerprint of the key, as the bundle has it; may be empty
}

// BundleError says that a bundle is none, or is no signature of a file by a key.
type BundleError struct {
	From string
	Err  error
}

// Error names the bundle.
func (e *BundleError) Error() string { return "bundle " + e.From + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *BundleError) Unwrap() error { return e.Err }

// ReadBundle reads the file of a bundle. The error is a *BundleError.
func ReadBundle(path string) (Bundle, error) {
	data, err := readFile(path, maxBundle)
	if err != nil {
		return Bundle{}, &BundleError{path, fmt.Errorf("%w: %s", err, signIt)}
	}
	return ParseBundle(path, data)
}

// ParseBundle reads a bundle. It does not verify the signature: Key.Verify does. The error is a *BundleError.
func ParseBundle(from string, data []byte) (Bundle, error) {
	var pb bundlepb.Bundle
	if err := (protojson.UnmarshalOptions{RecursionLimit: 100}).Unmarshal(data, &pb); err != nil {
		return Bundle{}, &BundleError{from, fmt.Errorf("it is no bundle of sigstore (%w): %s", err, signIt)}
	}
	b := Bundle{From: from, Raw: data, sum: pb.GetMessageSignature().GetMessageDigest().GetDigest(), signature: pb.GetMessageSignature().GetSignature()}
	if raw, err := base64.StdEncoding.DecodeString(pb.GetVerificationMaterial().GetPublicKey().GetHint()); err == nil && len(raw) == sha256.Size {
		b.hint = fingerprint(raw)
	}
	algorithm := pb.GetMessageSignature().GetMessageDigest().GetAlgorithm()
	var err error
	switch {
	case pb.GetMediaType() != BundleType:
		err = fmt.Errorf("it is of the type %q, and %s is supported: %s", pb.GetMediaType(), BundleType, signIt)
	case pb.GetDsseEnvelope() != nil:
		err = fmt.Errorf("it is an attestation, and no signature of a file: %s", signIt)
	case pb.GetVerificationMaterial().GetPublicKey() == nil:
		err = fmt.Errorf("it is of an identity with a certificate, and not of a key: %s", signIt)
	case len(b.sum) == 0:
		err = errors.New("it has no digest of the file, as bundles of Ed25519 keys: sign with a key that `cosign generate-key-pair` made")
	case algorithm != commonpb.HashAlgorithm_SHA2_256 || len(b.sum) != sha256.Size:
		err = fmt.Errorf("it has a digest of the kind %s and %d bytes, and only SHA-256 is supported: %s", algorithm, len(b.sum), signIt)
	case len(b.signature) == 0:
		err = fmt.Errorf("it has no signature: %s", signIt)
	}
	if err != nil {
		return Bundle{}, &BundleError{from, err}
	}
	return b, nil
}

// SHA256 returns the sum of the file that the bundle says it signs, in lower-case hexadecimal digits. Only Key.Verify knows whether that is so.
func (b Bundle) SHA256() string { return hex.EncodeToString(b.sum) }

// Verify returns nil if the bundle is a signature by this key of the file with this SHA-256 sum. The error is a *BundleError.
func (k *Key) Verify(b Bundle, sum string) error {
	want, err := hex.DecodeString(sum)
	switch {
	case err != nil || len(want) != sha256.Size:
		return &BundleError{b.From, fmt.Errorf("%q is no SHA-256 sum", sum)}
	case b.SHA256() != strings.ToLower(sum):
		return &BundleError{b.From, fmt.Errorf("it is of other bytes (sha256 %s) than the plugin (sha256 %s)", b.SHA256(), sum)}
	case ecdsa.VerifyASN1(k.public, want, b.signature):
		return nil
	case b.hint != "" && b.hint != k.Fingerprint():
		return &BundleError{b.From, fmt.Errorf("its signature is not by this key: it says that it is by the key %s", b.hint)}
	}
	return &BundleError{b.From, errors.New("its signature is not by this key, or it was changed")}
}

// Package ntlm is the client's side of NTLM version 2 (MS-NLMP), as WinRM uses it: three messages to log in, and then a session that seals
// messages. It does not speak the older versions, whose answers can be turned back into the password in hours.
//
// NTLM is old: its parts are MD4, MD5 and RC4, and whoever reads a login can guess passwords without asking the server. It is here because an
// unchanged Windows accepts nothing else without TLS. Prefer https.
package ntlm

// Package winrm is a client of WinRM, Windows' remote management: WS-Management (SOAP over HTTP) with its remote shells, as MS-WSMV describes them.
// It logs in with NTLM, which seals every message where there is no TLS, or with Basic.
//
// A [Client] makes requests over channels. A channel is one TCP connection with its own login and, with NTLM, its own keys, which change with every
// message. So each channel carries one request at a time. A request that waits for output does not delay another: that one gets another channel.
package winrm

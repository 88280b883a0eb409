// Package faultproxy is an HTTP proxy that stands between a plugin and its cloud, and can fail as a cloud does. It reads HTTPS too, with an authority
// of its own that lives as long as the proxy.
package faultproxy

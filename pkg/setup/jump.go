package setup

import (
	"errors"
	"fmt"
	"slices"

	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// jump returns the jump host of c, or nil if there is none. key is the private key of the instances, which also opens the jump host if that has none of its own.
func jump(c config.Connector, key []byte) (*connector.JumpHost, error) {
	if !c.ProxyJump.Set() {
		return nil, nil
	}
	key, err := jumpKey(c, key)
	if err != nil {
		return nil, err
	}
	from, known, err := jumpHostKeys(c)
	if err != nil {
		return nil, err
	}
	host := &connector.JumpHost{Address: c.ProxyJump.Address, Username: c.ProxyJump.Username, Key: secret.New(string(key)), HostKeys: known}
	if err := host.Check(dialOptions(c)); err != nil {
		return nil, &settingError{from, err} // the file's reader has checked the address, and jumpKey the key
	}
	return host, nil
}

// jumpHostKeys returns the host keys of the jump host, and the key of connector_config that they come from.
func jumpHostKeys(c config.Connector) (from string, keys []string, err error) {
	if c.ProxyJump.HostKey != "" {
		return "proxy_jump_host_key", []string{c.ProxyJump.HostKey}, nil
	}
	from = "proxy_jump_known_hosts_path"
	known, err := c.LoadKnownHosts()
	if err != nil {
		return from, nil, err
	}
	if keys, err = connector.KnownHostKeys(known, c.ProxyJump.Address); err != nil {
		err = &settingError{from, fmt.Errorf("%s: %w", c.ProxyJump.KnownHostsPath, err)}
	}
	return from, keys, err
}

// jumpKey returns the private key for the jump host: its own one without its passphrase, or else key.
func jumpKey(c config.Connector, key []byte) ([]byte, error) {
	own, passphrase, err := c.LoadJumpKey()
	if err != nil {
		return nil, err
	}
	from := "key_path"
	if own != nil {
		from = "proxy_jump_key_path"
		key, err = connector.DecryptKey(own, passphrase)
	}
	if err == nil {
		err = connector.CheckKey(key, dialOptions(c))
	}
	if err != nil {
		return nil, &settingError{from, &connector.JumpError{Address: c.ProxyJump.Address, Err: err}}
	}
	return key, nil
}

// dialOptions are the options that decide which keys can be used.
func dialOptions(c config.Connector) connector.DialOptions {
	return connector.DialOptions{LegacyAlgorithms: c.AllowLegacySSH}
}

// checkJump returns all faults of the jump host. key and keyErr are the result of loadKey. If the jump host takes that key, keyErr is not repeated.
func checkJump(c config.Connector, key []byte, keyErr error) (faults []error) {
	if !c.ProxyJump.Set() {
		return nil
	}
	if keyErr == nil || c.ProxyJump.KeyPath != "" {
		_, err := jump(c, key)
		faults = append(faults, err)
	}
	_, _, err := jumpHostKeys(c)
	if err != nil && !slices.ContainsFunc(faults, func(f error) bool { return f != nil && f.Error() == err.Error() }) {
		faults = append(faults, err)
	}
	return faults
}

// unusedPassphrases returns the keys of connector_config that name a passphrase of a private key that has none.
func unusedPassphrases(c config.Connector) (keys []string) {
	plain := func(key, passphrase []byte, err error) bool {
		if err != nil || len(key) == 0 || len(passphrase) == 0 {
			return false
		}
		return connector.CheckKey(key, connector.DialOptions{LegacyAlgorithms: true}) == nil
	}
	key, err := c.LoadKey()
	passphrase, passphraseErr := c.LoadPassphrase()
	if !c.WinRM() && plain(key, passphrase, errors.Join(err, passphraseErr)) { // with WinRM, the key itself is not used
		keys = append(keys, "key_passphrase")
		if c.KeyPassphrasePath != "" {
			keys[0] = "key_passphrase_path"
		}
	}
	if plain(c.LoadJumpKey()) {
		keys = append(keys, "proxy_jump_key_passphrase_path")
	}
	return keys
}

package ec2

import (
	"crypto/ed25519"
	"crypto/md5" //nolint:gosec // it is the fingerprint that AWS shows
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// keyPair is a key pair of EC2.
type keyPair struct {
	id, name, public string // public is as in authorized_keys
	rsa              *rsa.PublicKey
	fingerprint      string
	tags             []tag
}

// newKeyPair makes a key pair of a public key.
func newKeyPair(name, public string) (*keyPair, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(public))
	if err != nil {
		return nil, fmt.Errorf("it is no public key as in authorized_keys: %w", err)
	}
	sum := md5.Sum(key.Marshal()) //nolint:gosec // see above
	k := &keyPair{id: "key-0" + hex.EncodeToString(sum[:8]), name: name, public: strings.TrimSpace(public), fingerprint: ssh.FingerprintLegacyMD5(key)}
	crypto, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return nil, errors.New("it is of an unknown type")
	}
	switch key := crypto.CryptoPublicKey().(type) {
	case *rsa.PublicKey:
		k.rsa = key
	case ed25519.PublicKey:
	default:
		return nil, errors.New("EC2 knows only keys of the types RSA and ED25519")
	}
	return k, nil
}

func (k *keyPair) kind() string {
	if k.rsa != nil {
		return "rsa"
	}
	return "ed25519"
}

// setPassword chooses the password of a Windows instance, and encrypts it with the key pair.
func (in *instance) setPassword() {
	if !in.image.Windows || in.key == nil || in.key.rsa == nil {
		return
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // it never fails
	in.plain = base64.RawURLEncoding.EncodeToString(b[:]) + "(1)"
	secret, err := rsa.EncryptPKCS1v15(rand.Reader, in.key.rsa, []byte(in.plain)) //nolint:staticcheck // it is what EC2 does
	if err != nil {
		in.group.server.cfg.Log.Error("a password cannot be encrypted", "instance", in.id, "error", err)
		return
	}
	in.password = secret
}

type (
	getPasswordDataInput struct {
		InstanceID string `q:"InstanceId,required"`
	}
	getPasswordDataOutput struct {
		InstanceID string `xml:"instanceId"`
		Timestamp  string `xml:"timestamp"`
		Data       string `xml:"passwordData"`
	}
)

func (in *getPasswordDataInput) target(c *call) target { return c.ofInstance(in.InstanceID) }

func getPasswordData(c *call, in *getPasswordDataInput) (*getPasswordDataOutput, error) {
	all, _, err := c.allViews()
	if err != nil {
		return nil, err
	}
	if err := checkIDs([]string{in.InstanceID}, func(id string) bool { return all[id] != nil }); err != nil {
		return nil, err
	}
	i := all[in.InstanceID]
	out := &getPasswordDataOutput{InstanceID: i.id, Timestamp: stamp(c.now())}
	if i.state >= running && c.elapsed() >= i.ran+i.group.cfg.PasswordAfter && len(i.password) > 0 {
		out.Data = base64.StdEncoding.EncodeToString(i.password)
	}
	return out, nil
}

type (
	importKeyPairInput struct {
		KeyName           string                  `q:",required"`
		Material          string                  `q:"PublicKeyMaterial,required"`
		TagSpecifications items[tagSpecification] `q:"TagSpecification"`
	}
	createKeyPairInput struct {
		KeyName           string `q:",required"`
		KeyType           string
		KeyFormat         string
		TagSpecifications items[tagSpecification] `q:"TagSpecification"`
	}
	createdKeyPairOutput struct {
		keyPairOutput

		Material string `xml:"keyMaterial"`
	}
	keyPairOutput struct {
		Fingerprint string     `xml:"keyFingerprint"`
		Name        string     `xml:"keyName"`
		ID          string     `xml:"keyPairId"`
		Tags        items[tag] `xml:"tagSet"`
	}
)

func importKeyPair(c *call, in *importKeyPairInput) (*keyPairOutput, error) {
	text, err := base64.StdEncoding.DecodeString(in.Material)
	if err != nil {
		return nil, refuse("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
	}
	return c.addKey(in.KeyName, string(text), in.TagSpecifications)
}

func (c *call) addKey(name, public string, specs items[tagSpecification]) (*keyPairOutput, error) {
	if c.keys[name] != nil {
		return nil, refuse("InvalidKeyPair.Duplicate", "The keypair already exists")
	}
	k, err := newKeyPair(name, public)
	if err != nil {
		return nil, refuse("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
	}
	k.tags = tagsOf(specs, "key-pair")
	c.keys[name] = k
	return &keyPairOutput{Fingerprint: k.fingerprint, Name: name, ID: k.id, Tags: items[tag]{k.tags}}, nil
}

func tagsOf(specs items[tagSpecification], resource string) []tag {
	var list []tag
	for _, s := range specs.List {
		if s.ResourceType == resource {
			list = append(list, s.Tags.List...)
		}
	}
	return list
}

func createKeyPair(c *call, in *createKeyPairInput) (*createdKeyPairOutput, error) {
	var private any
	var public any
	switch in.KeyType {
	case "", "rsa":
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		private, public = key, key.Public()
	case "ed25519":
		pub, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		private, public = key, pub
	default:
		return nil, refuse("InvalidParameterValue", "Value (%s) for parameter KeyType is invalid.", in.KeyType)
	}
	if in.KeyFormat == "ppk" {
		return nil, refuse("InvalidParameterValue", "this server makes no keys in the format ppk")
	}
	known, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	out, err := c.addKey(in.KeyName, string(ssh.MarshalAuthorizedKey(known)), in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	text, err := pemOf(private)
	return &createdKeyPairOutput{*out, text}, err
}

// pemOf writes a private key as EC2 does.
func pemOf(private any) (string, error) {
	if key, ok := private.(*rsa.PrivateKey); ok {
		return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})), nil
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(block)), nil
}

type (
	describeKeyPairsInput struct {
		Filters          items[filter] `q:"Filter"`
		KeyNames         items[string] `q:"KeyName"`
		KeyPairIDs       items[string] `q:"KeyPairId"`
		IncludePublicKey bool
	}
	describeKeyPairsOutput struct {
		Keys items[keyPairXML] `xml:"keySet"`
	}
	keyPairXML struct {
		ID          string     `xml:"keyPairId"`
		Fingerprint string     `xml:"keyFingerprint"`
		Name        string     `xml:"keyName"`
		Type        string     `xml:"keyType"`
		Tags        items[tag] `xml:"tagSet"`
		Public      string     `xml:"publicKey,omitempty"`
		Created     string     `xml:"createTime"`
	}
	deleteKeyPairInput struct {
		KeyName string
	}
)

func describeKeyPairs(c *call, in *describeKeyPairsInput) (*describeKeyPairsOutput, error) {
	for _, name := range in.KeyNames.List {
		if c.keys[name] == nil {
			return nil, refuse("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
		}
	}
	list, _, err := page(c.keys, in.KeyNames.List, "", nil, limits{standard: len(c.keys)})
	if err != nil {
		return nil, err
	}
	out := &describeKeyPairsOutput{}
	for _, k := range list {
		x := keyPairXML{ID: k.id, Fingerprint: k.fingerprint, Name: k.name, Type: k.kind(), Tags: items[tag]{k.tags}, Created: stamp(c.start.Truncate(time.Second))}
		if in.IncludePublicKey {
			x.Public = k.public
		}
		fits, err := matches(in.Filters.List, func(name string) ([]string, bool) {
			if name == "key-name" {
				return []string{k.name}, true
			}
			return tagAttributes(k.tags, name)
		})
		if err != nil {
			return nil, err
		}
		if fits {
			out.Keys.List = append(out.Keys.List, x)
		}
	}
	return out, nil
}

func deleteKeyPair(c *call, in *deleteKeyPairInput) (*done, error) {
	delete(c.keys, in.KeyName)
	return &done{true}, nil
}

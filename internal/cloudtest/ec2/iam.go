package ec2

import (
	"crypto/rand"
	"encoding/base32"
	"net/http"
	"strings"
	"time"
)

type (
	policyInput struct {
		Name        string `q:"PolicyName,required"`
		Path        string
		Document    string `q:"PolicyDocument,required"`
		Description string
	}
	policyOutput struct {
		Policy policyXML `xml:"Policy"`
	}
	policyXML struct {
		Name           string `xml:"PolicyName"`
		ID             string `xml:"PolicyId"`
		ARN            string `xml:"Arn"`
		Path           string `xml:"Path"`
		DefaultVersion string `xml:"DefaultVersionId"`
		Attachments    int    `xml:"AttachmentCount"`
		Attachable     bool   `xml:"IsAttachable"`
		Created        string `xml:"CreateDate"`
	}
	userInput struct {
		Name string `q:"UserName,required"`
		Path string
	}
	userOutput struct {
		User userXML `xml:"User"`
	}
	userXML struct {
		Path    string `xml:"Path"`
		Name    string `xml:"UserName"`
		ID      string `xml:"UserId"`
		ARN     string `xml:"Arn"`
		Created string `xml:"CreateDate"`
	}
	roleInput struct {
		Name        string `q:"RoleName,required"`
		Path        string
		Trust       string `q:"AssumeRolePolicyDocument,required"`
		Description string
	}
	roleOutput struct {
		Role roleXML `xml:"Role"`
	}
	roleXML struct {
		Path    string `xml:"Path"`
		Name    string `xml:"RoleName"`
		ID      string `xml:"RoleId"`
		ARN     string `xml:"Arn"`
		Created string `xml:"CreateDate"`
	}
	putUserPolicyInput struct {
		User     string `q:"UserName,required"`
		Name     string `q:"PolicyName,required"`
		Document string `q:"PolicyDocument,required"`
	}
	putRolePolicyInput struct {
		Role     string `q:"RoleName,required"`
		Name     string `q:"PolicyName,required"`
		Document string `q:"PolicyDocument,required"`
	}
	attachUserPolicyInput struct {
		User string `q:"UserName,required"`
		ARN  string `q:"PolicyArn,required"`
	}
	attachRolePolicyInput struct {
		Role string `q:"RoleName,required"`
		ARN  string `q:"PolicyArn,required"`
	}
	accessKeyInput struct {
		User string `q:"UserName,required"`
	}
	accessKeyOutput struct {
		Key accessKeyXML `xml:"AccessKey"`
	}
	accessKeyXML struct {
		User    string `xml:"UserName"`
		ID      string `xml:"AccessKeyId"`
		Status  string `xml:"Status"`
		Secret  string `xml:"SecretAccessKey"`
		Created string `xml:"CreateDate"`
	}
)

// noEntity is the error for something that IAM does not know.
func noEntity(kind, name string) *apiError {
	return refuse("NoSuchEntity", "The %s with name %s cannot be found.", kind, name).with(http.StatusNotFound)
}

func exists(kind, name string) *apiError {
	return refuse("EntityAlreadyExists", "%s with name %s already exists.", kind, name).with(http.StatusConflict)
}

func document(text string) (*policyDocument, error) {
	p, err := parsePolicy(text)
	if err != nil {
		return nil, refuse("MalformedPolicyDocument", "%s", err)
	}
	return p, nil
}

func createPolicy(c *call, in *policyInput) (*policyOutput, error) {
	p, err := document(in.Document)
	if err != nil {
		return nil, err
	}
	arn := "arn:aws:iam::" + c.cfg.Account + ":policy" + path(in.Path) + in.Name
	if c.account.policies[arn] != nil {
		return nil, exists("A policy called", in.Name)
	}
	c.account.policies[arn] = p
	return &policyOutput{policyXML{
		Name: in.Name, ID: newID("ANPA"), ARN: arn, Path: path(in.Path), DefaultVersion: "v1", Attachable: true, Created: stamp(c.now()),
	}}, nil
}

func createUser(c *call, in *userInput) (*userOutput, error) {
	if c.account.users[in.Name] != nil {
		return nil, exists("User", in.Name)
	}
	u := c.account.user(in.Name)
	u.arn = "arn:aws:iam::" + c.cfg.Account + ":user" + path(in.Path) + in.Name
	return &userOutput{userXML{path(in.Path), in.Name, newID("AIDA"), u.arn, stamp(c.now())}}, nil
}

func createRole(c *call, in *roleInput) (*roleOutput, error) {
	if c.account.roles[in.Name] != nil {
		return nil, exists("Role", in.Name)
	}
	if _, err := document(in.Trust); err != nil {
		return nil, err
	}
	r := &principal{name: in.Name, arn: "arn:aws:iam::" + c.cfg.Account + ":role" + path(in.Path) + in.Name, policies: map[string]*policyDocument{}}
	c.account.roles[in.Name] = r
	return &roleOutput{roleXML{path(in.Path), in.Name, newID("AROA"), r.arn, stamp(c.now())}}, nil
}

func (c *call) give(p *principal, kind, name, policy, text string) (*none, error) {
	if p == nil {
		return nil, noEntity(kind, name)
	}
	d, err := document(text)
	if err != nil {
		return nil, err
	}
	p.policies[policy] = d
	return &none{}, nil
}

func putUserPolicy(c *call, in *putUserPolicyInput) (*none, error) {
	return c.give(c.account.users[in.User], "user", in.User, in.Name, in.Document)
}

func putRolePolicy(c *call, in *putRolePolicyInput) (*none, error) {
	return c.give(c.account.roles[in.Role], "role", in.Role, in.Name, in.Document)
}

func (c *call) attach(p *principal, kind, name, arn string) (*none, error) {
	d := c.account.policies[arn]
	switch {
	case p == nil:
		return nil, noEntity(kind, name)
	case d == nil:
		return nil, refuse("NoSuchEntity", "Policy %s does not exist or is not attachable.", arn).with(http.StatusNotFound)
	}
	p.policies[arn] = d
	return &none{}, nil
}

func attachUserPolicy(c *call, in *attachUserPolicyInput) (*none, error) {
	return c.attach(c.account.users[in.User], "user", in.User, in.ARN)
}

func attachRolePolicy(c *call, in *attachRolePolicyInput) (*none, error) {
	return c.attach(c.account.roles[in.Role], "role", in.Role, in.ARN)
}

func createAccessKey(c *call, in *accessKeyInput) (*accessKeyOutput, error) {
	u := c.account.users[in.User]
	if u == nil {
		return nil, noEntity("user", in.User)
	}
	key, secret := newID("AKIA"), newID("secret")+newID("")
	c.account.keys[key] = accessKey{Credential{Secret: secret, User: in.User}, u}
	return &accessKeyOutput{accessKeyXML{in.User, key, "Active", secret, stamp(c.now())}}, nil
}

func path(p string) string { return first(p, "/") }

// newID is a random id as IAM's are.
func newID(prefix string) string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // it never fails
	return prefix + base32.StdEncoding.EncodeToString(b[:])
}

type (
	callerIdentityOutput struct {
		UserID  string `xml:"UserId"`
		Account string `xml:"Account"`
		ARN     string `xml:"Arn"`
	}
	assumeRoleInput struct {
		Role       string `q:"RoleArn,required"`
		Session    string `q:"RoleSessionName,required"`
		Seconds    *int   `q:"DurationSeconds"`
		ExternalID string `q:"ExternalId"`
	}
	assumeRoleOutput struct {
		Credentials credentialsXML `xml:"Credentials"`
		User        assumedXML     `xml:"AssumedRoleUser"`
	}
	credentialsXML struct {
		Key     string `xml:"AccessKeyId"`
		Secret  string `xml:"SecretAccessKey"`
		Token   string `xml:"SessionToken"`
		Expires string `xml:"Expiration"`
	}
	assumedXML struct {
		ID  string `xml:"AssumedRoleId"`
		ARN string `xml:"Arn"`
	}
)

func getCallerIdentity(c *call, _ *struct{}) (*callerIdentityOutput, error) {
	return &callerIdentityOutput{"AIDA" + strings.ToUpper(hexSum([]byte(c.who.arn))[:16]), c.cfg.Account, c.who.arn}, nil
}

func (in *assumeRoleInput) target(*call) target { return target{resource: in.Role} }

func assumeRole(c *call, in *assumeRoleInput) (*assumeRoleOutput, error) {
	_, name, _ := strings.Cut(in.Role, ":role/")
	r := c.account.roles[name[strings.LastIndex(name, "/")+1:]]
	if r == nil || r.arn != in.Role {
		return nil, refuse("AccessDenied", "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", c.who.arn, in.Role).with(http.StatusForbidden)
	}
	life := time.Hour
	if in.Seconds != nil {
		life = time.Duration(*in.Seconds) * time.Second
	}
	who := *r
	who.arn = "arn:aws:sts::" + c.cfg.Account + ":assumed-role/" + r.name + "/" + in.Session
	key, secret, token := newID("ASIA"), newID("secret"), newID("token")+newID("")
	// The policies are those of the role, also the ones that it gets later.
	c.account.keys[key] = accessKey{Credential{Secret: secret, Token: token, Expires: c.now().Add(life)}, &who}
	return &assumeRoleOutput{
		credentialsXML{key, secret, token, stamp(c.now().Add(life))}, assumedXML{newID("AROA") + ":" + in.Session, who.arn},
	}, nil
}

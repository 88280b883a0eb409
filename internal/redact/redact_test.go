package redact_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/taskscaler/taskscaler/internal/redact"
)

const label = "[gone]"

func finder(secrets ...string) *redact.Finder {
	var all []redact.Secret
	for _, s := range secrets {
		all = append(all, redact.Secret{Text: s, Label: label})
	}
	return redact.New(all)
}

// A secret is removed in every usual form.
func TestForms(t *testing.T) {
	const secret = "p<w ä\"b\\c/secret"
	f := finder(secret)
	inJSON, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := json.Marshal(string(inJSON))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		secret, string(inJSON), string(twice), fmt.Sprintf("%q", secret), fmt.Sprintf("%+q", secret), fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret),
		fmt.Sprint([]byte(secret)), url.QueryEscape(secret), url.PathEscape(secret), strings.ToLower(url.PathEscape(secret)),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
		base64.StdEncoding.EncodeToString([]byte("user:" + secret + "@host")), base64.StdEncoding.EncodeToString([]byte("u:" + secret + "+")),
		base64.URLEncoding.EncodeToString([]byte("me:" + secret)),
	} {
		got := f.Text("before " + text + " after")
		if !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") || !strings.Contains(got, label) || len(got) > 40 {
			t.Errorf("%s became %s", text, got)
		}
	}
}

// A secret is removed as a whole if bytes in it are broken, escaped, or came between.
func TestDamagedSecrets(t *testing.T) {
	f := finder("pw-secret", "two words", "schlüssel")
	for _, text := range []string{
		"pw-\xffsecret", "pw-s\xffcret", "pw\ufffdsecret", "\xffw-secret", "pw-secre\xff", "p\x00w\x00-\x00s\x00e\x00c\x00r\x00e\x00t", "pw-\nsecret", "pw-\r\n\tsecret",
		"pw-\x1b[31msec\x1b[0mret", "pw-\u200bsecret", `pw-\u0073ecret`, `\x70w-secret`, `pw-\\\nsecret`, "pw%2Dsecret", "pw-\xff\xfe\xfdsecret",
		"two\nwords", "two  words", "two\twords", "schl\xfcssel", "schl\xc3ssel", `schl\xc3\xbcssel`, `schl\u00fcssel`, "schl%C3%BCssel",
	} {
		if got := f.Text("a " + text + " b"); got != "a "+label+" b" {
			t.Errorf("%q became %q", text, got)
		}
	}
	for _, text := range []string{
		"a pw-\xff b", "two\nother words", "secret\n", "100%2", `C:\new\table`, "pw-secre", "\x1b[31mred\x1b[0m", "wörds", "%", `\`, "\x1b[", "\x1b",
	} {
		if got := f.Text(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// One of two lines over which a secret is split has at least half of it, and does not show this half.
func TestSplitSecrets(t *testing.T) {
	const secret = "a-secret-of-20-bytes"
	f := finder(secret)
	for at := 1; at < len(secret); at++ {
		shown := 0
		if first := f.Line("it is " + secret[:at]); !strings.HasSuffix(first, label) {
			shown += at
		}
		if second := f.Line(secret[at:] + " it was"); !strings.HasPrefix(second, label) {
			shown += len(secret) - at
		}
		if shown > len(secret)/2 {
			t.Errorf("split at %d, %d bytes are shown", at, shown)
		}
	}
	if got := f.Line("it is a"); got != "it is a" {
		t.Errorf("got %q", got)
	}
}

func TestKey(t *testing.T) {
	const key = "-----BEGIN KEY-----\nline-one-of-the-key\nshort\n-----END KEY-----\n"
	f := redact.New(redact.Key(key, label))
	for in, want := range map[string]string{
		key: label, "x line-one-of-the-key": "x " + label, "short": "short", "-----BEGIN KEY-----": "-----BEGIN KEY-----",
		"line-one-of-\xffthe-key": label,
	} {
		if got := f.Text(in); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
	if got := redact.Key("too short", label); got != nil {
		t.Errorf("got %v", got)
	}
}

// What stands where a secret usually stands is removed although nothing knows it.
func TestByName(t *testing.T) {
	b := redact.NewByName()
	for _, text := range []string{
		"Authorization: Bearer hunter2-hunter2", `{"Authorization":"Basic hunter2"}`, "map[Authorization:[Bearer hunter2]]", "bearer hunter2.hunter2",
		"https://me:hunter2@host/", "postgres://me:hunter2@host", "redis://:hunter2@host:6379/0", `\"authorization\": \"hunter2\"`,
		"Authorization: Negotiate hunter2", "Proxy-Authorization: Digest username=me, response=hunter2, opaque=hunter2", "authorization: AWS4-HMAC-SHA256 Credential=hunter2/x, Signature=hunter2",
		"password=hunter2", "password = hunter2", "password = 'hunter2 hunter2'", "DB_PASSWORD=hunter2", `"client_secret": "hunter2"`,
		"password: hunter2", "  - password: hunter2  # of the database", "user: me\npassword: hunter2\nhost: x", "user: me\r\npassword: hunter2\r\n", "api_key: 'hunter2 hunter2'",
		`token: "hunter2 hunter2"`, "{user: me, password: hunter2, host: x}", "{User:me Password:hunter2 Host:x}", "[token: hunter2]", "user: me password: hunter2 host: x",
		"(secret: hunter2)", "{'user': 'me', 'password': 'hunter2'}", "password: hunter2 token: hunter2", "password:\thunter2", "passwd:hunter2", "password: hunter2:hunter2",
	} {
		if got := b.Text(text, label); strings.Contains(got, "hunter2") || !strings.Contains(got, label) {
			t.Errorf("%s became %s", text, got)
		}
	}
	login := base64.StdEncoding.EncodeToString([]byte("me:hunter2"))
	if got := b.Text("it sends Basic "+login+" to the host", label); got != "it sends Basic "+label+" to the host" {
		t.Errorf("a login became %s", got)
	}
	for _, text := range []string{
		"the bearer of news", "https://host:80/a@b", "no authorization was given", "basic authentication failed", "Basic auth-scheme is refused",
		"the token: expired", "token: Unauthorized.", "password: must be set", "cannot read the secret: open token.txt: no such file or directory", "refreshing the token: 401",
		"token: oauth2: cannot fetch it", "secret:", "a password: is it there?", "password_file: /run/secrets/x", "token_path: /run/token", "arn:aws:secretsmanager:eu-west-1:12:secret:name",
		"secret: none", "the tokens of the throttle: 5", "password: %s", "invalid password: too short", "the host (passwords are refused) does not answer", "secrets: [a, b]",
	} {
		if got := b.Text(text, label); got != text {
			t.Errorf("%s became %s", text, got)
		}
	}
}

// For any secret of one word and any text: it is removed after each form of a name, the text around it stays, and a second pass finds nothing more.
func FuzzByName(f *testing.F) {
	f.Add("hunter2", "the host answers", uint(0))
	f.Add("S3cr3t+/x", "password: x\ntoken: y", uint(3))
	f.Add("pass:word", "Authorization: Basic", uint(7))
	f.Add("a=b", "{password: ", uint(5))
	forms := []string{
		"password: %s", "password = %s", "password=%s", "Authorization: Basic %s", "{User:me Password:%s Host:x}", "- api_key: '%s'", "{\"token\": \"%s\"}", "client_secret: %s # x",
		"https://me:%s@host/",
	}
	b := redact.NewByName()
	f.Fuzz(func(t *testing.T, secret, around string, form uint) {
		if len(around) > 4096 || len(secret) > 200 {
			t.Skip("too long")
		}
		once := b.Text(around, label)
		if again := b.Text(once, label); len(again) > 4*len(once)+4*len(label) {
			t.Fatalf("%q grows to %q", once, again)
		}
		word := func(r rune) bool {
			return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '+' || r == '-')
		}
		if len(secret) < 8 || strings.TrimFunc(secret, word) != "" || strings.TrimFunc(secret, unicode.IsDigit) == "" || strings.Contains(label, secret) {
			return // perhaps a word that messages say of secrets, or no one word
		}
		text := fmt.Sprintf(forms[form%uint(len(forms))], secret)
		if got := b.Text(text, label); strings.Contains(got, secret) && !strings.Contains(strings.ReplaceAll(text, secret, ""), secret) && !slices.Contains(remarks, strings.ToLower(secret)) {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

// remarks are the words of at least 8 letters that are no secret after a name and a colon.
var remarks = []string{"declined", "forbidden", "incomplete", "incorrect", "malformed", "mismatch", "redacted", "rejected", "required", "unauthenticated", "unauthorised", "unauthorized", "undefined"}

// Properties for any secret and text: no exact secret is left; a secret is removed with noise at any place; the rest of the text stays; a text that has
// no secret and nothing like it is not changed.
func FuzzText(f *testing.F) {
	f.Add("pw-secret", "before \xff ", "\x00", uint(3))
	f.Add("s3cr3t w\u00f6rd", "{\"a\":\"\\n", "\x1b[31m", uint(5))
	f.Add("100%25\\x41", "", "\r\n\t", uint(1))
	f.Add("<<<", "the", "\x1c", uint(59))
	f.Add("hunter2", "password: ", "", uint(2))
	f.Add("hunter2", "Authorization: Basic ", "\n", uint(2))
	f.Fuzz(func(t *testing.T, secret, around, noise string, at uint) {
		if utf8.RuneCountInString(secret) < 3 || len(secret) > 200 || len(around) > 4096 || len(noise) > 64 || !utf8.ValidString(secret) {
			t.Skip("no secret that is redacted")
		}
		find := finder(secret)
		got := find.Text(around + secret + around)
		for piece := range strings.SplitSeq(got, label) {
			if strings.Contains(piece, secret) {
				t.Fatalf("%q is left in %q", secret, got)
			}
		}
		if len(got) > (len(around)*2+len(secret)+1)*len(label) {
			t.Fatalf("%d bytes became %d", len(around)*2+len(secret), len(got))
		}
		find.Line(got)
		if strings.ContainsFunc(secret, func(r rune) bool { return !unicode.IsPrint(r) || r == '\\' || r == '%' || r == utf8.RuneError }) {
			return // it looks damaged itself
		}
		if strings.ContainsAny(secret, "<>") {
			return // with the frame it begins or ends elsewhere
		}
		if strings.ContainsFunc(noise, func(r rune) bool { return r != utf8.RuneError && (r >= ' ' || r == '\x1b') }) || strings.Contains(secret, "  ") {
			return // not only noise
		}
		cut := 1 + int(at%uint(utf8.RuneCountInString(secret)-1))
		runes := []rune(secret)
		damaged := string(runes[:cut]) + noise + string(runes[cut:])
		if got := find.Text("<" + damaged + ">"); got != "<"+label+">" {
			t.Fatalf("%q became %q", damaged, got)
		}
	})
}

func BenchmarkText(b *testing.B) {
	var all []string
	for n := range 512 {
		all = append(all, fmt.Sprintf("made-%06d-of-the-plugin", n))
	}
	f := finder(all...)
	for name, text := range map[string]string{
		"plain":   strings.Repeat("an instance was created ", 8),
		"escaped": strings.Repeat(`{\"an\": \"instance was created\"}`+"\n", 8),
		"binary":  strings.Repeat("\xff\x00made", 10_000),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f.Line(text)
			}
		})
	}
}

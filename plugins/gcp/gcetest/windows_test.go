package gcetest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

func TestWindowsPassword(t *testing.T) {
	now := newClock()
	cfg := zonal(GroupConfig{TargetSize: 1, Image: ImageWindows}, now)
	cfg.Agent = 5 * time.Second
	r := newRig(t, cfg)
	name := r.Instances()[0].Name
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	line := fmt.Sprintf(`{"userName":"ci","modulus":%q,"exponent":%q,"email":"a@b","expireOn":%q}`, encode(key.N.Bytes()), encode(big.NewInt(int64(key.E)).Bytes()),
		now.now().Add(time.Hour).Format(time.RFC3339))
	if err := r.SetMetadata(zoneA, name, "windows-keys", "nonsense\n"+line+"\n"+strings.Replace(line, encode(key.N.Bytes())[:8], "********", 1)); err != nil {
		t.Fatal(err)
	}
	port := func() string {
		return must(r.instances.GetSerialPortOutput(r.ctx, &computepb.GetSerialPortOutputInstanceRequest{Project: project, Zone: zoneA, Instance: name,
			Port: proto.Int32(passwordPort)})).GetContents()
	}
	if text := port(); text != "" {
		t.Fatalf("the agent was early: %q", text)
	}
	now.forward(5 * time.Second)
	lines := strings.Split(strings.TrimSpace(port()), "\n")
	var answer, wrong newPassword
	if err := json.Unmarshal([]byte(lines[0]), &answer); err != nil || len(lines) != 2 {
		t.Fatalf("%v: %q", err, lines)
	}
	if err := json.Unmarshal([]byte(lines[1]), &wrong); err != nil || wrong.PasswordFound || wrong.ErrorMessage == "" {
		t.Errorf("the second answer is %+v, error %v", wrong, err)
	}
	secret := must(base64.StdEncoding.DecodeString(answer.EncryptedPassword))
	plain, err := rsa.DecryptOAEP(sha1.New(), nil, key, secret, nil)
	if truth, _ := r.Password(zoneA, name, "ci"); err != nil || string(plain) != truth || truth == "" {
		t.Errorf("the password is %q, error %v, want %q", plain, err, truth)
	}
}

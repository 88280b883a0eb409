package control_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/leakcheck"
)

func TestMain(m *testing.M) {
	otherUser()
	leakcheck.Main(m)
}

// otherUser is what a process of another user does for TestSecurityOtherUsers: it listens at a socket that is open to all and tells what it
// receives, it connects, or it asks the manager for its status.
func otherUser() {
	if path := os.Getenv("CONTROL_TEST_SQUAT"); path != "" {
		l, err := net.Listen("unix", path)
		if err == nil {
			err = os.Chmod(path, 0o777)
		}
		fmt.Println("listening:", err)
		for err == nil {
			var conn net.Conn
			if conn, err = l.Accept(); err == nil {
				_ = conn.SetDeadline(time.Now().Add(hang))
				n, _ := conn.Read(make([]byte, 1024))
				fmt.Println("received:", n > 0)
				_ = conn.Close()
			}
		}
		os.Exit(0)
	}
	if path := os.Getenv("CONTROL_TEST_CONNECT"); path != "" {
		_, err := net.Dial("unix", path)
		fmt.Println("connected:", err == nil)
		os.Exit(0)
	}
	if path := os.Getenv("CONTROL_TEST_ASK"); path != "" {
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		_, err := control.NewClient(path).Status(ctx, "")
		cancel()
		fmt.Println("answered:", err == nil)
		os.Exit(0)
	}
}

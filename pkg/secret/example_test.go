package secret_test

import (
	"fmt"

	"github.com/taskscaler/taskscaler/pkg/secret"
)

func Example() {
	login := struct {
		User     string
		Password secret.Text
	}{"ci", secret.New("hunter2")}
	fmt.Printf("%+v\n", login)
	fmt.Println(len(login.Password.Reveal()))
	// Output:
	// {User:ci Password:[redacted]}
	// 7
}

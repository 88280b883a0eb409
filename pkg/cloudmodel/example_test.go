package cloudmodel_test

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// Time is an argument: the example creates two instances of three, waits for their boots, and deletes one.
func Example() {
	cloud, err := cloudmodel.New(cloudmodel.Config{
		MaxSize: 2,
		Boot:    cloudmodel.Constant(40 * time.Second),
		Price:   cloudmodel.Price{PerHour: 0.6, Billing: "minute"},
	}, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	created := cloud.Create(0, 3)
	fmt.Println("created", created.Made, "of 3:", created.Failure.Kind)

	at, _ := cloud.Next()
	for _, e := range cloud.Advance(at, nil) {
		fmt.Println(at, "instance", e.Number, e.Kind)
	}
	cloud.Delete(2*time.Minute, 1)
	list, _ := cloud.List(2*time.Minute, nil)
	for _, i := range list {
		fmt.Println("instance", i.Number, "is", i.State)
	}
	// Output:
	// created 2 of 3: quota
	// 40s instance 1 running
	// 40s instance 2 running
	// instance 2 is running
}

func ExamplePrice_Cost() {
	p := cloudmodel.Price{PerHour: 1.5, Billing: "hour", Minimum: cloudmodel.D(24 * time.Hour)}
	fmt.Println(p.Cost(10*time.Minute), p.Cost(25*time.Hour+time.Second))
	// Output:
	// 36 39
}

package aws

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2instanceconnect"
)

// clients are those of the three services. Each part of the package uses them through a small interface of its own.
type clients struct {
	scaling *autoscaling.Client
	ec2     *ec2.Client
	connect *ec2instanceconnect.Client
}

func newClients(cfg aws.Config) clients {
	return clients{autoscaling.NewFromConfig(cfg), ec2.NewFromConfig(cfg), ec2instanceconnect.NewFromConfig(cfg)}
}

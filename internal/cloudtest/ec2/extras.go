package ec2

// warmPool is the warm pool of a group, which this server only describes.
type warmPool struct{}

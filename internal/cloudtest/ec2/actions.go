package ec2

// actions is the table of all actions.
func actions() map[string]*action {
	t := map[string]*action{}
	addAutoScaling(t)
	addEC2(t)
	add(t, serviceConnect, "SendSSHPublicKey", sendSSHPublicKey)
	return t
}

func addAutoScaling(t map[string]*action) {
	const s = serviceAutoScaling
	add(t, s, "DescribeAutoScalingGroups", describeAutoScalingGroups)
	add(t, s, "DescribeAutoScalingInstances", describeAutoScalingInstances)
	add(t, s, "DescribeScalingActivities", describeScalingActivities)
	add(t, s, "SetDesiredCapacity", setDesiredCapacity)
	add(t, s, "TerminateInstanceInAutoScalingGroup", terminateInstanceInAutoScalingGroup)
}

func addEC2(t map[string]*action) {
	const s = serviceEC2
	add(t, s, "DescribeInstances", describeInstances)
	add(t, s, "DescribeInstanceStatus", describeInstanceStatus)
	add(t, s, "DescribeSpotInstanceRequests", describeSpotInstanceRequests)
	add(t, s, "GetPasswordData", getPasswordData)
	add(t, s, "ImportKeyPair", importKeyPair)
	add(t, s, "CreateKeyPair", createKeyPair)
	add(t, s, "DescribeKeyPairs", describeKeyPairs)
	add(t, s, "DeleteKeyPair", deleteKeyPair)
}

package ec2

// actions is the table of all actions.
func actions() map[string]*action {
	t := map[string]*action{}
	addGroups(t)
	addExtras(t)
	addInstances(t)
	addSetUp(t)
	addIAM(t)
	add(t, serviceConnect, "SendSSHPublicKey", sendSSHPublicKey)
	return t
}

// addGroups adds what is about groups and their instances.
func addGroups(t map[string]*action) {
	const s = serviceAutoScaling
	add(t, s, "DescribeAutoScalingGroups", describeAutoScalingGroups)
	add(t, s, "DescribeAutoScalingInstances", describeAutoScalingInstances)
	add(t, s, "DescribeScalingActivities", describeScalingActivities)
	add(t, s, "SetDesiredCapacity", setDesiredCapacity)
	add(t, s, "TerminateInstanceInAutoScalingGroup", terminateInstanceInAutoScalingGroup)
	add(t, s, "CreateAutoScalingGroup", createAutoScalingGroup)
	add(t, s, "UpdateAutoScalingGroup", updateAutoScalingGroup)
	add(t, s, "DeleteAutoScalingGroup", deleteAutoScalingGroup)
	add(t, s, "SuspendProcesses", suspendProcesses)
	add(t, s, "ResumeProcesses", resumeProcesses)
	add(t, s, "DetachInstances", detachInstances)
	add(t, s, "EnterStandby", enterStandby)
	add(t, s, "ExitStandby", exitStandby)
	add(t, s, "SetInstanceProtection", setInstanceProtection)
	add(t, s, "SetInstanceHealth", setInstanceHealth)
}

// addExtras adds what groups may have that this server only describes.
func addExtras(t map[string]*action) {
	const s = serviceAutoScaling
	add(t, s, "PutScalingPolicy", putScalingPolicy)
	add(t, s, "DescribePolicies", describePolicies)
	add(t, s, "DeletePolicy", deletePolicy)
	add(t, s, "PutScheduledUpdateGroupAction", putScheduledUpdateGroupAction)
	add(t, s, "DescribeScheduledActions", describeScheduledActions)
	add(t, s, "StartInstanceRefresh", startInstanceRefresh)
	add(t, s, "DescribeInstanceRefreshes", describeInstanceRefreshes)
	add(t, s, "CancelInstanceRefresh", cancelInstanceRefresh)
	add(t, s, "PutWarmPool", putWarmPool)
	add(t, s, "DescribeWarmPool", describeWarmPool)
	add(t, s, "DeleteWarmPool", deleteWarmPool)
	add(t, s, "PutLifecycleHook", putLifecycleHook)
	add(t, s, "DescribeLifecycleHooks", describeLifecycleHooks)
	add(t, s, "CreateOrUpdateTags", createOrUpdateTags)
	add(t, s, "DescribeTags", describeTagsOfGroups)
}

// addInstances adds what is about instances.
func addInstances(t map[string]*action) {
	const s = serviceEC2
	add(t, s, "DescribeInstances", describeInstances)
	add(t, s, "DescribeInstanceStatus", describeInstanceStatus)
	add(t, s, "DescribeSpotInstanceRequests", describeSpotInstanceRequests)
	add(t, s, "DescribeImages", describeImages)
	add(t, s, "GetPasswordData", getPasswordData)
	add(t, s, "TerminateInstances", terminateInstances)
}

// addSetUp adds what a group needs before it is created.
func addSetUp(t map[string]*action) {
	const s = serviceEC2
	add(t, s, "ImportKeyPair", importKeyPair)
	add(t, s, "CreateKeyPair", createKeyPair)
	add(t, s, "DescribeKeyPairs", describeKeyPairs)
	add(t, s, "DeleteKeyPair", deleteKeyPair)
	add(t, s, "CreateLaunchTemplate", createLaunchTemplate)
	add(t, s, "CreateLaunchTemplateVersion", createLaunchTemplateVersion)
	add(t, s, "DescribeLaunchTemplates", describeLaunchTemplates)
	add(t, s, "DescribeLaunchTemplateVersions", describeLaunchTemplateVersions)
	add(t, s, "DeleteLaunchTemplate", deleteLaunchTemplate)
	add(t, s, "CreateSecurityGroup", createSecurityGroup)
	add(t, s, "AuthorizeSecurityGroupIngress", authorizeSecurityGroupIngress)
	add(t, s, "DescribeSecurityGroups", describeSecurityGroups)
	add(t, s, "DeleteSecurityGroup", deleteSecurityGroup)
	add(t, s, "DescribeSubnets", describeSubnets)
	add(t, s, "DescribeVpcs", describeVpcs)
}

// addIAM adds users, roles and policies, and who the caller is.
func addIAM(t map[string]*action) {
	const s = serviceIAM
	add(t, s, "CreatePolicy", createPolicy)
	add(t, s, "CreateUser", createUser)
	add(t, s, "CreateRole", createRole)
	add(t, s, "PutUserPolicy", putUserPolicy)
	add(t, s, "PutRolePolicy", putRolePolicy)
	add(t, s, "AttachUserPolicy", attachUserPolicy)
	add(t, s, "AttachRolePolicy", attachRolePolicy)
	add(t, s, "CreateAccessKey", createAccessKey)
	add(t, serviceSTS, "GetCallerIdentity", getCallerIdentity)
	add(t, serviceSTS, "AssumeRole", assumeRole)
}

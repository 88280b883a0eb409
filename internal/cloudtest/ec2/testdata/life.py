"""A whole life of a group, by boto3: argument 1 is the endpoint of the server. Every answer goes through botocore's own parsers."""
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

session = boto3.session.Session()
kw = dict(endpoint_url=sys.argv[1], config=Config(retries={"mode": "adaptive", "max_attempts": 10}))
asg, ec2, sts, iam = (session.client(s, **kw) for s in ("autoscaling", "ec2", "sts", "iam"))
connect = session.client("ec2-instance-connect", **kw)


def refused(code, call, **params):
    try:
        call(**params)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return e.response["Error"]["Message"]
    raise AssertionError(f"it was not refused with {code}")


def wait(what, done):
    until = time.monotonic() + 60
    while not done():
        assert time.monotonic() < until, f"waited 60 s for {what}"
        time.sleep(0.02)


assert sts.get_caller_identity()["Account"] == "123456789012"

# Set a group up.
subnets = [s["SubnetId"] for s in ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]]
assert len(subnets) == 3
images = ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "name", "Values": ["al2023-ami-2023*"]}, {"Name": "architecture", "Values": ["x86_64"]}])
image = images["Images"][0]
sg = ec2.create_security_group(GroupName="runners", Description="SSH from the manager")["GroupId"]
ec2.authorize_security_group_ingress(
    GroupId=sg, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "manager"}]}])
assert ec2.describe_security_groups(GroupIds=[sg])["SecurityGroups"][0]["IpPermissions"][0]["ToPort"] == 22
key = ec2.create_key_pair(KeyName="runners", KeyType="rsa")
assert "PRIVATE KEY" in key["KeyMaterial"]
ec2.create_launch_template(LaunchTemplateName="runners", LaunchTemplateData={
    "ImageId": image["ImageId"], "InstanceType": "m6i.large", "KeyName": "runners", "SecurityGroupIds": [sg],
    "InstanceMarketOptions": {"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "one-time"}},
    "MetadataOptions": {"HttpTokens": "required"},
    "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30, "VolumeType": "gp3", "Encrypted": True}}],
    "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "ci"}]}]})
v = ec2.describe_launch_template_versions(LaunchTemplateName="runners", Versions=["$Latest"])["LaunchTemplateVersions"][0]
assert v["LaunchTemplateData"]["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 30, v
asg.create_auto_scaling_group(
    AutoScalingGroupName="runners", MinSize=0, MaxSize=8, DesiredCapacity=0, VPCZoneIdentifier=",".join(subnets), NewInstancesProtectedFromScaleIn=True,
    LaunchTemplate={"LaunchTemplateName": "runners", "Version": "$Latest"},
    Tags=[{"Key": "owner", "Value": "taskscaler", "PropagateAtLaunch": True}])
asg.suspend_processes(AutoScalingGroupName="runners", ScalingProcesses=["AZRebalance"])


def group():
    return asg.describe_auto_scaling_groups(AutoScalingGroupNames=["runners"])["AutoScalingGroups"][0]


def in_service():
    return [i for i in group()["Instances"] if i["LifecycleState"] == "InService"]


g = group()
assert g["SuspendedProcesses"][0]["ProcessName"] == "AZRebalance" and g["NewInstancesProtectedFromScaleIn"], g

# Scale it, and look at what there is.
asg.set_desired_capacity(AutoScalingGroupName="runners", DesiredCapacity=7, HonorCooldown=False)
message = refused("ValidationError", asg.set_desired_capacity, AutoScalingGroupName="runners", DesiredCapacity=9)
assert "above max value 8" in message, message
wait("7 instances", lambda: len(in_service()) == 7)
ids = sorted(i["InstanceId"] for i in in_service())
found = [i for page in ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5}) for r in page["Reservations"] for i in r["Instances"]]
assert sorted(i["InstanceId"] for i in found) == ids
assert all(i["InstanceLifecycle"] == "spot" and i["KeyName"] == "runners" for i in found)
assert {t["Key"]: t["Value"] for t in found[0]["Tags"]} == {"aws:autoscaling:groupName": "runners", "owner": "taskscaler", "team": "ci"}
ec2.get_waiter("instance_running").wait(InstanceIds=ids)
ec2.get_waiter("instance_status_ok").wait(InstanceIds=ids)
spot = ec2.describe_spot_instance_requests(Filters=[{"Name": "instance-id", "Values": ids[:2]}])["SpotInstanceRequests"]
assert [s["Status"]["Code"] for s in spot] == ["fulfilled", "fulfilled"]
pages = list(asg.get_paginator("describe_scaling_activities").paginate(AutoScalingGroupName="runners", PaginationConfig={"PageSize": 2}))
assert sum(len(p["Activities"]) for p in pages) == 7 and len(pages) >= 4
assert all(a["StatusCode"] == "Successful" for p in pages for a in p["Activities"])

# A key is pushed, in the right form only.
public = ec2.describe_key_pairs(KeyNames=["runners"], IncludePublicKey=True)["KeyPairs"][0]["PublicKey"]
assert connect.send_ssh_public_key(InstanceId=ids[0], InstanceOSUser="ec2-user", SSHPublicKey=public)["Success"]
refused("EC2InstanceNotFoundException", connect.send_ssh_public_key, InstanceId="i-0123456789abcdef0", InstanceOSUser="ec2-user", SSHPublicKey=public)

# Terminate one with its place, and one without: the group replaces it.
a = asg.terminate_instance_in_auto_scaling_group(InstanceId=ids[0], ShouldDecrementDesiredCapacity=True)["Activity"]
assert a["StatusCode"] == "InProgress" and ids[0] in a["Description"], a
asg.terminate_instance_in_auto_scaling_group(InstanceId=ids[1], ShouldDecrementDesiredCapacity=False)
wait("the replacement", lambda: len(in_service()) == 6 and len(group()["Instances"]) == 6)
assert group()["DesiredCapacity"] == 6 and not {ids[0], ids[1]} & {i["InstanceId"] for i in in_service()}
ec2.get_waiter("instance_terminated").wait(InstanceIds=ids[:2])
refused("ValidationError", asg.terminate_instance_in_auto_scaling_group, InstanceId=ids[0], ShouldDecrementDesiredCapacity=True)
refused("InvalidInstanceID.NotFound", ec2.describe_instances, InstanceIds=["i-0123456789abcdef0"])
refused("InvalidInstanceID.Malformed", ec2.describe_instances, InstanceIds=["nonsense"])
refused("InvalidParameterCombination", ec2.describe_instances, InstanceIds=ids[:1], MaxResults=5)

# A user that may only look.
iam.create_user(UserName="reader")
policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "autoscaling:Describe*", "Resource": "*"}]}'
iam.put_user_policy(UserName="reader", PolicyName="look", PolicyDocument=policy)
new = iam.create_access_key(UserName="reader")["AccessKey"]
reader = boto3.session.Session(aws_access_key_id=new["AccessKeyId"], aws_secret_access_key=new["SecretAccessKey"], region_name=session.region_name)
reader.client("autoscaling", **kw).describe_auto_scaling_groups()
message = refused("AccessDenied", reader.client("autoscaling", **kw).set_desired_capacity, AutoScalingGroupName="runners", DesiredCapacity=1)
assert "user/reader is not authorized to perform: autoscaling:SetDesiredCapacity on resource: arn:aws:autoscaling:" in message, message
refused("UnauthorizedOperation", reader.client("ec2", **kw).describe_instances)
other = boto3.session.Session(region_name="us-west-2").client("autoscaling", **kw)
assert "us-west-2" in refused("SignatureDoesNotMatch", other.describe_auto_scaling_groups)

# Away with it.
asg.delete_auto_scaling_group(AutoScalingGroupName="runners", ForceDelete=True)
wait("the end of the group", lambda: not asg.describe_auto_scaling_groups(AutoScalingGroupNames=["runners"])["AutoScalingGroups"])
ec2.delete_launch_template(LaunchTemplateName="runners")
ec2.delete_key_pair(KeyName="runners")
ec2.delete_security_group(GroupId=sg)
print("done")

package aws

import "context"

func (g *InstanceGroup) inspect(context.Context, group) []string { return nil }

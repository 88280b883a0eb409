package aws

import "context"

func (g *InstanceGroup) Increase(ctx context.Context, delta int) (int, error) { return 0, nil }
func (g *InstanceGroup) Decrease(ctx context.Context, ids []string) ([]string, error) {
	return nil, nil
}
func (g *InstanceGroup) watch(context.Context, group)   {}
func (g *InstanceGroup) withdraw(context.Context) error { return nil }

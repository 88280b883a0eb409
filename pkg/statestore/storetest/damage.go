package storetest

import "testing"

func testDamage(t *testing.T, factory Factory) {}

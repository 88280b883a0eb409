package statestore_test

func killChild() {}

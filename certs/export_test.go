package certs

// NewPermission makes a permission that asks h, without an app.
func NewPermission(h hosts) *Permission { return &Permission{hosts: h} }

package main

type devCmd struct{}
type serveCmd struct{}
type migrateCmd struct{}
type doctorCmd struct{}
type sendCmd struct{}
type explainCmd struct{}
type tokenCmd struct{}
type analyticsCmd struct{}
type appCmd struct{}
type keyCmd struct{}
type sandboxCmd struct{}
func (devCmd) Run() error {return nil}
func (serveCmd) Run() error {return nil}
func (migrateCmd) Run() error {return nil}
func (doctorCmd) Run() error {return nil}
func (sendCmd) Run() error {return nil}
func (explainCmd) Run() error {return nil}
func (tokenCmd) Run() error {return nil}
func (analyticsCmd) Run() error {return nil}
func (appCmd) Run() error {return nil}
func (keyCmd) Run() error {return nil}
func (sandboxCmd) Run() error {return nil}

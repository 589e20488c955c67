package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"syscall"
)

// examineData asks whether the spool has a place to be.
func examineData(_ context.Context, c Config) []finding {
	f := finding{about: "data", said: c.Data + " can be written"}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		f.err, f.todo = err, "make the folder and give it to the user that Herald runs as"
		return []finding{f}
	}
	probe, err := os.CreateTemp(c.Data, ".doctor-*")
	if err != nil {
		f.err, f.todo = err, "give the folder to the user that Herald runs as"
		return []finding{f}
	}
	probe.Close()
	_ = os.Remove(probe.Name()) // an empty file; nothing depends on it

	var disk syscall.Statfs_t
	if err := syscall.Statfs(c.Data, &disk); err == nil {
		const need = 1 << 30
		if free := disk.Bavail * uint64(disk.Bsize); free < need {
			f.err = fmt.Errorf("%s has %d MB left: a long absence of ClickHouse fills it", c.Data, free>>20)
			f.todo, f.mild = "make room, or put data on a larger disk", true
		}
	}
	return []finding{f}
}

// examineLimits asks for enough open files: each connection is one.
func examineLimits(_ context.Context, c Config) []finding {
	const few, fewDevices = 1 << 12, 1 << 16
	need := uint64(few)
	if c.does(roleConn) {
		need = fewDevices
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return []finding{{about: "open files", err: err, mild: true}}
	}
	f := finding{about: "open files", said: fmt.Sprintf("%d may be open", limit.Max)}
	if uint64(limit.Max) < need { //nolint:unconvert // the type differs between systems
		f.err = fmt.Errorf("only %d may be open: each device and each connection to a vendor is one", limit.Max)
		f.todo, f.mild = fmt.Sprintf("raise it to %d or more (LimitNOFILE= in systemd)", need), true
	}
	return []finding{f}
}

// canListen tells whether an address is free.
func canListen(ctx context.Context, addr string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return l.Close()
}

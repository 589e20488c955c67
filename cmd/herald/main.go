// Command herald is all of Herald: the server in any mix of roles, everything
// at once on one machine for development, and the tools of its operators.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // local times are right where the system has no time zones

	"github.com/alecthomas/kong"
	"github.com/redis/go-redis/v9/logging"

	"github.com/herald-push/herald/push"
)

// version is set by the build.
var version = "dev"

// cli is the command line, in the order people meet it.
type cli struct {
	Dev       devCmd       `cmd:"" group:"run" help:"Start everything on this machine: API, workers, live connection, dashboards, the vendors' sandbox and a demo fleet."`
	Serve     serveCmd     `cmd:"" group:"run" help:"Run Herald for real, in any mix of roles."`
	Migrate   migrateCmd   `cmd:"" group:"run" help:"Bring the databases up to date, then end."`
	Doctor    doctorCmd    `cmd:"" group:"run" help:"Check a configuration and its servers, and say what is wrong."`
	Send      sendCmd      `cmd:"" group:"use" help:"Send a notification."`
	Explain   explainCmd   `cmd:"" group:"use" help:"Tell the story of a notification's deliveries: attempts, receipts, and why each road was taken."`
	Campaign  campaignCmd  `cmd:"" group:"use" help:"Watch, pause, resume or cancel a notification to many."`
	Template  templateCmd  `cmd:"" group:"use" help:"Say things in several languages."`
	Schedule  scheduleCmd  `cmd:"" group:"use" help:"Send notifications again and again."`
	Token     tokenCmd     `cmd:"" group:"use" help:"Print a token that a device logs in with."`
	Providers roadsCmd     `cmd:"" group:"use" help:"Show what each road can do."`
	Analytics analyticsCmd `cmd:"" group:"use" help:"Ask ClickHouse what came of the notifications."`
	Replay    replayCmd    `cmd:"" group:"use" help:"Ask the record what another policy would have brought."`
	Selector  selectorCmd  `cmd:"" group:"use" help:"Say who chooses the roads; try the selector in a simulated world."`
	Lanes     lanesCmd     `cmd:"" group:"use" help:"Show how each provider fares: open or closed and why, rate, quotas; switch one off or on."`
	Live      liveCmd      `cmd:"" group:"manage" help:"Show the nodes that hold devices' connections; empty one before it is stopped."`
	Webhooks  webhookCmd   `cmd:"" group:"use" help:"Have the app told what came of its messages."`
	Gateway   gatewayCmd   `cmd:"" group:"use" help:"Check what is declared of businesses against what passed."`
	App       appCmd       `cmd:"" group:"manage" help:"Create and show apps."`
	Erase     eraseCmd     `cmd:"" group:"manage" help:"Erase a person from every store, and prove it."`
	Export    exportCmd    `cmd:"" group:"manage" help:"Write down all that is kept of a person, as JSON Lines."`
	Key       keyCmd       `cmd:"" group:"manage" help:"Create, list and revoke API keys."`
	Reseal    resealCmd    `cmd:"" group:"manage" help:"Seal every secret with the first sealing key, so that older ones can go."`
	Sandbox   sandboxCmd   `cmd:"" group:"manage" help:"Play the vendors without the rest."`
	Version   versionCmd   `cmd:"" help:"Print the version."`

	ClickHouse clickhouseCmd `cmd:"" name:"clickhouse" hidden:"" help:"Serve the embedded ClickHouse engine on loopback."`
	Child      childCmd      `cmd:"" hidden:"" help:"Run a program that ends when standard input closes."`
}

// streams is where a command reads and writes.
type streams struct {
	out, err io.Writer
}

func main() {
	os.Exit(run(os.Args[1:], streams{os.Stdout, os.Stderr}))
}

// run runs one command line and returns the exit code: 0 for done, 1 for a
// fault, 2 for a command line that is not understood.
func run(args []string, std streams) int {
	var c cli
	code := -1
	parser, err := kong.New(&c,
		kong.Name("herald"),
		kong.Description("Herald reaches people's devices by the road that gets there, and proves it."),
		kong.Writers(std.out, std.err),
		kong.Exit(func(asked int) { code = asked }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.Vars{"scopes": strings.Join(scopes(), ", "), "kinds": strings.Join(push.KindNames(), ", ")},
		kong.Groups{"run": "Run Herald", "use": "Use a running Herald", "manage": "Manage"},
	)
	if err != nil {
		fmt.Fprintf(std.err, "herald: %v\n", err)
		return 2
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if code >= 0 { // --help has been answered
		return code
	}
	if err != nil {
		fmt.Fprintf(std.err, "herald: %v\nTry `herald --help`, or `herald <command> --help`.\n", err)
		return 2
	}

	// The first signal asks for an orderly end. After it the signals do again
	// what they do by default, so that a second one ends Herald at once.
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	context.AfterFunc(ctx, restore)

	// What the Redis client tells a global logger, its callers get as errors.
	logging.Disable()

	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(std); err != nil {
		return report(std.err, err)
	}
	return 0
}

// exitError ends the program with a code of its own.
type exitError struct {
	code int
	err  error // nil if everything has been said already
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

type versionCmd struct{}

func (versionCmd) Run(std streams) error {
	_, err := fmt.Fprintln(std.out, "herald", version)
	return err
}

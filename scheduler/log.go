package scheduler

import (
	"context"
	"fmt"
	"log/slog"
)

// asynqLog passes asynq's own log lines on.
type asynqLog struct{ log *slog.Logger }

func (l asynqLog) Debug(args ...any) { l.say(slog.LevelDebug, args) }
func (l asynqLog) Info(args ...any)  { l.say(slog.LevelInfo, args) }
func (l asynqLog) Warn(args ...any)  { l.say(slog.LevelWarn, args) }
func (l asynqLog) Error(args ...any) { l.say(slog.LevelError, args) }

// Fatal is an error like others: asynq has no say in when the process ends.
func (l asynqLog) Fatal(args ...any) { l.say(slog.LevelError, args) }

func (l asynqLog) say(level slog.Level, args []any) {
	l.log.Log(context.Background(), level, fmt.Sprint(args...), "from", "asynq") //nolint:sloglint // the words are asynq's
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/herald-push/herald/client"
)

// templateCmd looks after what notifications say.
type templateCmd struct {
	Put     templatePutCmd     `cmd:"" help:"Make a template from a file, or replace it."`
	List    templateListCmd    `cmd:"" help:"List the templates."`
	Show    templateShowCmd    `cmd:"" help:"Print a template as JSON, as put reads it."`
	Preview templatePreviewCmd `cmd:"" help:"Print what a device would read."`
	Delete  templateDeleteCmd  `cmd:"" help:"Forget a template. What was worded by it stays."`
}

// templateFlags name a template of a running Herald.
type templateFlags struct {
	remoteFlags
	ID string `arg:"" help:"The template's id."`
}

type templatePutCmd struct {
	templateFlags
	File string `arg:"" help:"JSON as PUT /v1/templates takes it; - is standard input."`
}

func (t *templatePutCmd) Run(ctx context.Context, std streams) error {
	var raw []byte
	var err error
	if t.File == "-" {
		raw, err = io.ReadAll(os.Stdin)
	} else {
		raw, err = os.ReadFile(t.File)
	}
	if err != nil {
		return err
	}
	var in client.Template
	if err := json.Unmarshal(raw, &in); err != nil {
		return fmt.Errorf("%s: %w", t.File, err)
	}
	herald, err := t.open()
	if err != nil {
		return err
	}
	in.ID = t.ID
	kept, err := herald.PutTemplate(ctx, in)
	if err != nil {
		return t.explainError(err)
	}
	_, err = fmt.Fprintf(std.out, "template %s, version %d\n", kept.ID, kept.Version)
	return err
}

type templateListCmd struct {
	remoteFlags
	formatFlag
}

func (t *templateListCmd) Run(ctx context.Context, std streams) error {
	herald, err := t.open()
	if err != nil {
		return err
	}
	var all []client.Template
	for after := ""; ; {
		page, err := herald.Templates(ctx, after, 100)
		if err != nil {
			return t.explainError(err)
		}
		all = append(all, page.Templates...)
		if after = page.Next; after == "" {
			break
		}
	}
	rows := make([][]string, len(all))
	for i, tpl := range all {
		var locales []string
		for locale := range tpl.Locales {
			locales = append(locales, locale)
		}
		slices.Sort(locales)
		rows[i] = []string{tpl.ID, fmt.Sprint(tpl.Version), strings.Join(locales, ","), day(tpl.UpdatedAt)}
	}
	return t.print(std.out, all, []string{"TEMPLATE", "VERSION", "LOCALES", "UPDATED (UTC)"}, rows)
}

type templateShowCmd struct{ templateFlags }

func (t *templateShowCmd) Run(ctx context.Context, std streams) error {
	herald, err := t.open()
	if err != nil {
		return err
	}
	tpl, err := herald.Template(ctx, t.ID)
	if err != nil {
		return t.explainError(err)
	}
	return formatFlag{Format: "json"}.print(std.out, tpl, nil, nil)
}

type templatePreviewCmd struct {
	templateFlags
	Locale    string            `placeholder:"TAG" help:"The device's language, such as zh-Hant-TW."`
	Variables map[string]string `name:"var" placeholder:"NAME=VALUE" help:"A variable's value; may be given again."`
}

func (t *templatePreviewCmd) Run(ctx context.Context, std streams) error {
	herald, err := t.open()
	if err != nil {
		return err
	}
	p, err := herald.PreviewTemplate(ctx, t.ID, t.Locale, values(t.Variables))
	if err != nil {
		return t.explainError(err)
	}
	return formatFlag{Format: "json"}.print(std.out, p, nil, nil)
}

// values are a template's variables as the client takes them.
func values(given map[string]string) map[string]any {
	if len(given) == 0 {
		return nil
	}
	all := make(map[string]any, len(given))
	for name, value := range given {
		all[name] = value
	}
	return all
}

type templateDeleteCmd struct{ templateFlags }

func (t *templateDeleteCmd) Run(ctx context.Context, std streams) error {
	herald, err := t.open()
	if err != nil {
		return err
	}
	if err := herald.DeleteTemplate(ctx, t.ID); err != nil {
		return t.explainError(err)
	}
	_, err = fmt.Fprintf(std.out, "template %s is forgotten\n", t.ID)
	return err
}

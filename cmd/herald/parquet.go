package main

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
)

// writeParquet writes a slice of flat structs, its columns named as in JSON.
func writeParquet(w io.Writer, value any) error {
	list := reflect.ValueOf(value)
	if list.Kind() != reflect.Slice || list.Type().Elem().Kind() != reflect.Struct {
		return errors.New("--format parquet: this command has nothing like a table; csv, json and table it can")
	}
	row, paths := flat(list.Type().Elem())
	if row.NumField() == 0 {
		return errors.New("--format parquet: there is no column")
	}
	writer := parquet.NewWriter(w, parquet.SchemaOf(reflect.New(row).Interface()), parquet.Compression(&parquet.Snappy))
	for i := range list.Len() {
		out := reflect.New(row).Elem()
		for k, path := range paths {
			out.Field(k).Set(list.Index(i).FieldByIndex(path))
		}
		if err := writer.Write(out.Interface()); err != nil {
			return fmt.Errorf("write parquet: %w", err)
		}
	}
	if err := writer.Close(); err != nil {
		return fmt.Errorf("write parquet: %w", err)
	}
	return nil
}

// flat is the type of a row with the plain fields of t and of what t embeds,
// and the way to each in t.
func flat(t reflect.Type) (reflect.Type, [][]int) {
	var fields []reflect.StructField
	var paths [][]int
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || name == "-" || !isPlain(f.Type) {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields = append(fields, reflect.StructField{Name: f.Name, Type: f.Type, Tag: reflect.StructTag(fmt.Sprintf(`parquet:"%s"`, name))})
		paths = append(paths, f.Index)
	}
	return reflect.StructOf(fields), paths
}

func isPlain(t reflect.Type) bool {
	if t == reflect.TypeFor[time.Time]() {
		return true
	}
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Int32, reflect.Uint64, reflect.Uint32, reflect.Float32, reflect.Float64, reflect.String:
		return true
	default:
		return false
	}
}

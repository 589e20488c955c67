package chdb

import "encoding/binary"

// helloQuery is how clickhouse-go begins every HTTP connection.
const helloQuery = "SELECT displayName(), version(), revision(), timezone()"

// hello answers [helloQuery] as one Native block.
//
// The driver decodes this one answer with the newest TCP revision it knows,
// which puts block info before the block and a byte for custom serialization
// after each type; libchdb writes neither. So the answer is written by hand,
// with the revision 0, after which the driver expects plain Native blocks.
func hello(version, zone string) []byte {
	b := []byte{
		1, 0, // block info, field 1: is_overflows = false
		2, 0xff, 0xff, 0xff, 0xff, // field 2: bucket_num = -1
		0,    // end of block info
		4, 1, // columns, rows
	}
	b = appendColumn(b, "displayName()", "String", appendString(nil, "herald"))
	b = appendColumn(b, "version()", "String", appendString(nil, version))
	b = appendColumn(b, "revision()", "UInt32", []byte{0, 0, 0, 0})
	return appendColumn(b, "timezone()", "String", appendString(nil, zone))
}

func appendColumn(b []byte, name, kind string, data []byte) []byte {
	b = appendString(b, name)
	b = appendString(b, kind)
	b = append(b, 0) // no custom serialization
	return append(b, data...)
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

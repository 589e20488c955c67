package analytics

import (
	"fmt"
	"slices"
	"strings"

	"github.com/herald-push/herald/push"
)

// maxQuestion bounds the text of a question, in bytes.
const maxQuestion = 16 << 10

// question reads SQL of somebody's own and returns what may be sent: the same
// words, without comments, once each is known to be harmless. What ClickHouse
// gets is put together from what was understood here, so that the two cannot
// understand it differently.
//
// One SELECT is allowed, with the functions of [harmless], without settings,
// formats and files. Names that mean a table or a database that is not for
// everybody are refused wherever they stand.
func question(sql string, forbidden []string) (string, error) {
	if len(sql) > maxQuestion {
		return "", wrong("must be at most %d bytes", maxQuestion)
	}
	tokens, err := tokensOf(sql)
	if err != nil {
		return "", err
	}
	for len(tokens) > 0 && tokens[len(tokens)-1].text == ";" {
		tokens = tokens[:len(tokens)-1]
	}
	if len(tokens) == 0 {
		return "", wrong("is empty: ask something, such as SELECT count() FROM receipts")
	}
	if first := strings.ToUpper(tokens[0].text); first != "SELECT" && first != "WITH" {
		return "", wrong("must begin with SELECT or WITH: the record is for reading")
	}
	var out strings.Builder
	depth := 0
	for i, t := range tokens {
		if i > 0 && !t.glued {
			out.WriteByte(' ')
		}
		out.WriteString(t.text)
		switch t.text {
		case ";":
			return "", wrong("must be one statement")
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth < 0 {
			return "", wrong("has a ) without its (")
		}
		if !t.name {
			continue
		}
		called := i+1 < len(tokens) && tokens[i+1].text == "("
		if err := checkName(t, called, forbidden); err != nil {
			return "", err
		}
		if slices.Contains(ExplorableNames(), t.plain()) && renames(tokens, i) {
			return "", wrong("must not give the name %s to something else", t.plain())
		}
	}
	if depth != 0 {
		return "", wrong("has a ( without its )")
	}
	return out.String(), nil
}

// renames reports whether the name at i is given to a query, as in WITH name AS
// (…). A column may well be called receipts.
func renames(tokens []token, i int) bool {
	is := func(i int, text string) bool {
		return i >= 0 && i < len(tokens) && strings.EqualFold(tokens[i].text, text)
	}
	return is(i+1, "AS") && is(i+2, "(")
}

func wrong(format string, args ...any) error {
	return &push.Invalid{Faults: []push.Fault{{Field: "sql", Detail: fmt.Sprintf(format, args...)}}}
}

func checkName(t token, called bool, forbidden []string) error {
	plain := t.plain()
	upper := strings.ToUpper(plain)
	if !t.quoted() && slices.Contains(clauses, upper) {
		return wrong("must not contain %s", upper)
	}
	if slices.ContainsFunc(forbidden, func(f string) bool { return strings.EqualFold(f, plain) }) {
		return wrong("%s is not among the tables that may be asked: %s", plain, strings.Join(ExplorableNames(), ", "))
	}
	if called && !(slices.Contains(before, upper) && !t.quoted()) && !isHarmless(plain) {
		return wrong("the function %s is not among those that may be used here", plain)
	}
	return nil
}

// clauses change how a query runs or where its answer goes.
var clauses = []string{"SETTINGS", "FORMAT", "INTO", "OUTFILE", "INFILE"}

// before are the words that may stand before a parenthesis without being a function.
var before = strings.Fields(`ALL AND ANTI ANY ARRAY AS ASOF BETWEEN BY CASE CUBE DISTINCT ELSE EXCEPT EXISTS FILL FILTER FROM FULL GLOBAL HAVING
	ILIKE IN INNER INTERSECT INTERVAL IS JOIN LEFT LIKE LIMIT MATERIALIZED NOT OFFSET ON OR ORDER OVER PARTITION PREWHERE REPLACE RIGHT ROLLUP SELECT
	SEMI SETS THEN UNION USING VALUES WHEN WHERE WITH`)

// token is one piece of SQL text. Names are words and quoted identifiers.
type token struct {
	text  string
	name  bool
	glued bool // nothing stood between it and the token before, as in 1.5
}

func (t token) quoted() bool { return t.text[0] == '"' || t.text[0] == '`' }

// plain is a name without its quotes.
func (t token) plain() string {
	if t.quoted() {
		return t.text[1 : len(t.text)-1]
	}
	return t.text
}

// tokensOf splits SQL. What ClickHouse could read in more ways than one is
// refused: escapes in names, dollars, braces, hashes, control characters.
func tokensOf(sql string) ([]token, error) {
	var tokens []token
	glued := false
	for i := 0; i < len(sql); {
		n, t, err := nextToken(sql[i:])
		if err != nil {
			return nil, err
		}
		if t.text != "" {
			t.glued = glued
			tokens = append(tokens, t)
		}
		glued = t.text != ""
		i += n
	}
	return tokens, nil
}

func nextToken(s string) (n int, t token, err error) {
	c := s[0]
	switch {
	case strings.IndexByte(" \t\r\n", c) >= 0:
		return 1, token{}, nil
	case strings.HasPrefix(s, "--"):
		return lengthUntil(s, "\n"), token{}, nil
	case strings.HasPrefix(s, "/*"):
		n = lengthUntil(s, "*/")
		if strings.Contains(s[2:n], "/*") || !strings.HasSuffix(s[:n], "*/") || n < 4 {
			return 0, token{}, wrong("has a comment that does not end, or one within another")
		}
		return n, token{}, nil
	case c == '\'' || c == '"' || c == '`':
		return quotedToken(s)
	case isWord(c):
		n = 1
		for n < len(s) && isWord(s[n]) {
			n++
		}
		return n, token{text: s[:n], name: c < '0' || c > '9'}, nil
	case strings.HasPrefix(s, "::"), strings.HasPrefix(s, "->"), strings.HasPrefix(s, "||"), strings.HasPrefix(s, "<="),
		strings.HasPrefix(s, ">="), strings.HasPrefix(s, "!="), strings.HasPrefix(s, "<>"), strings.HasPrefix(s, "=="):
		return 2, token{text: s[:2]}, nil
	case strings.IndexByte("()[],.+-*/%=<>?:;", c) >= 0:
		return 1, token{text: s[:1]}, nil
	default:
		return 0, token{}, wrong("has a character that is not allowed outside of text: %q", rune(c))
	}
}

// lengthUntil is the length of s up to and with its end, or all of it.
func lengthUntil(s, end string) int {
	if i := strings.Index(s[1:], end); i >= 0 {
		return 1 + i + len(end)
	}
	return len(s)
}

// quotedToken reads a string or a quoted name. A backslash escapes in strings;
// a doubled quote is left as two strings side by side are: refused.
func quotedToken(s string) (int, token, error) {
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quote != '\'':
			return 0, token{}, wrong("has a backslash in a name")
		case s[i] == '\\':
			i++
		case s[i] == 0:
			return 0, token{}, wrong("has a control character")
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			return 0, token{}, wrong(`has a doubled quote: write \' for a quote within a text`)
		case s[i] == quote && i == 1 && quote != '\'':
			return 0, token{}, wrong("has an empty name")
		case s[i] == quote:
			return i + 1, token{text: s[:i+1], name: quote != '\''}, nil
		}
	}
	return 0, token{}, wrong("has a quote that does not end")
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// isHarmless reports whether a function neither reads anything but its
// arguments nor takes time by itself. Aggregates may have a combinator.
func isHarmless(name string) bool {
	if slices.Contains(harmless, strings.ToLower(name)) {
		return true
	}
	for _, suffix := range []string{"If", "Array", "OrNull", "OrDefault", "Distinct", "Map"} {
		if short, ok := strings.CutSuffix(name, suffix); ok && short != "" && isHarmless(short) {
			return true
		}
	}
	return false
}

var harmless = strings.Fields(strings.ToLower(`
	count sum avg min max any anyLast anyHeavy argMin argMax uniq uniqExact uniqCombined uniqCombined64 uniqHLL12 groupArray groupUniqArray
	groupArraySorted groupConcat quantile quantiles quantileExact quantilesExact quantileTDigest quantilesTDigest quantileTiming quantilesTiming
	quantileBFloat16 median medianExact stddevPop stddevSamp varPop varSamp covarPop covarSamp corr skewPop skewSamp kurtPop kurtSamp entropy
	histogram topK topKWeighted sumMap minMap maxMap sumWithOverflow sumKahan avgWeighted simpleLinearRegression studentTTest welchTTest
	mannWhitneyUTest proportionsZTest windowFunnel retention sequenceMatch sequenceCount deltaSum boundingRatio first_value last_value
	row_number rank dense_rank percent_rank ntile lag lead lagInFrame leadInFrame nth_value
	if multiIf ifNull nullIf coalesce isNull isNotNull assumeNotNull toNullable least greatest clamp and or not xor in notIn
	equals notEquals less greater lessOrEquals greaterOrEquals plus minus multiply divide intDiv intDivOrZero modulo negate abs sign
	ifNotFinite isFinite isNaN isInfinite gcd lcm bar
	round floor ceil ceiling trunc roundBankers roundToExp2 roundDown exp exp2 exp10 log ln log2 log10 sqrt cbrt pow power sin cos tan
	asin acos atan pi e degrees radians erf
	cast toInt8 toInt16 toInt32 toInt64 toUInt8 toUInt16 toUInt32 toUInt64 toFloat32 toFloat64 toDecimal32 toDecimal64 toString toFixedString
	toDate toDateOrNull toDateTime toDateTimeOrNull toDateTime64 toUnixTimestamp toUnixTimestamp64Milli fromUnixTimestamp
	fromUnixTimestamp64Milli parseDateTimeBestEffort parseDateTimeBestEffortOrNull toInt64OrNull toInt64OrZero toFloat64OrNull toFloat64OrZero
	toUInt64OrNull toUInt64OrZero toTypeName
	toIntervalSecond toIntervalMinute toIntervalHour toIntervalDay toIntervalWeek toIntervalMonth
	now now64 today yesterday toYear toQuarter toMonth toDayOfMonth toDayOfWeek toDayOfYear toHour toMinute toSecond toMillisecond toISOWeek
	toMonday toStartOfInterval toStartOfSecond toStartOfMinute toStartOfFiveMinutes toStartOfTenMinutes toStartOfFifteenMinutes toStartOfHour
	toStartOfDay toStartOfWeek toStartOfMonth toStartOfQuarter toStartOfYear toYYYYMM toYYYYMMDD toYYYYMMDDhhmmss toTimeZone toTime
	dateDiff dateAdd dateSub date_diff date_add date_sub age addSeconds addMinutes addHours addDays addWeeks addMonths subtractSeconds
	subtractMinutes subtractHours subtractDays subtractWeeks subtractMonths formatDateTime dateName timeSlot
	length empty notEmpty lower upper lowerUTF8 upperUTF8 lengthUTF8 reverse concat concatWithSeparator substring substr substringUTF8 left right
	trim trimLeft trimRight startsWith endsWith position positionCaseInsensitive countSubstrings like notLike ilike match extract
	extractAll replaceOne replaceAll replaceRegexpOne replaceRegexpAll splitByChar splitByString arrayStringConcat leftPad rightPad
	formatReadableSize formatReadableQuantity formatReadableTimeDelta hex cityHash64 sipHash64 xxHash64 halfMD5
	JSONExtractString JSONExtractInt JSONExtractFloat JSONExtractBool JSONHas JSONLength
	array arrayElement arrayJoin arrayMap arrayFilter arrayFirst arrayLast arrayFirstIndex arrayExists arrayAll arrayCount arraySum arrayAvg
	arrayMin arrayMax arraySort arrayReverseSort arrayDistinct arrayUniq arraySlice arrayConcat arrayPushBack arrayPushFront arrayZip
	arrayEnumerate arrayCumSum arrayDifference arrayReverse arrayCompact arrayFlatten arrayIntersect arrayReduce has hasAll hasAny indexOf
	countEqual tuple tupleElement untuple map mapKeys mapValues mapContains transform
	bitAnd bitOr bitXor grouping range`))

package sheet_test

import (
	"errors"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/sheet"
)

// table is what a file says.
type table struct {
	Header []string
	Rows   [][]string
	Lines  []int64
}

// read reads all of a file.
func read(text string) (table, error) {
	r, err := sheet.Open(strings.NewReader(text), int64(len(text)))
	if err != nil {
		return table{}, err
	}
	got := table{Header: r.Header()}
	for {
		cells, line, err := r.Read()
		if err == io.EOF { //nolint:errorlint // it is promised unwrapped
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got.Rows = append(got.Rows, slices.Clone(cells))
		got.Lines = append(got.Lines, line)
	}
}

func TestFilesAreReadAsTheyWereMeant(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       table
	}{
		{"commas", "to,name\n1,Ana\n2,Bia\n", table{[]string{"to", "name"}, [][]string{{"1", "Ana"}, {"2", "Bia"}}, []int64{2, 3}}},
		{"semicolons and CR LF", "to;name\r\n1;Ana, Maria\r\n", table{[]string{"to", "name"}, [][]string{{"1", "Ana, Maria"}}, []int64{2}}},
		{"tabs", "to\tname\n1\t Ana \n", table{[]string{"to", "name"}, [][]string{{"1", " Ana "}}, []int64{2}}},
		{"bars", "to|name\n1|Ana\n", table{[]string{"to", "name"}, [][]string{{"1", "Ana"}}, []int64{2}}},
		{"a mark of UTF-8", "\ufeffto,name\n1,Antônio\n", table{[]string{"to", "name"}, [][]string{{"1", "Antônio"}}, []int64{2}}},
		{"one column", "to\n1\n2", table{[]string{"to"}, [][]string{{"1"}, {"2"}}, []int64{2, 3}}},
		{"no rows", "to,name\n", table{[]string{"to", "name"}, nil, nil}},
		{"no line end at the end", "to,name\n1,", table{[]string{"to", "name"}, [][]string{{"1", ""}}, []int64{2}}},
		{"CR at the end", "to,name\r\n1,a\r", table{[]string{"to", "name"}, [][]string{{"1", "a"}}, []int64{2}}},
		{"blank lines", "\n \r\nto,name\n\n   \n1,Ana\n\n\n", table{[]string{"to", "name"}, [][]string{{"1", "Ana"}}, []int64{6}}},
		{"an empty cell in quotes is no blank line", "to\n\"\"\n", table{[]string{"to"}, [][]string{{""}}, []int64{2}}},
		{"spaces around headers", " to ,\u00a0name\n1,Ana\n", table{[]string{"to", "name"}, [][]string{{"1", "Ana"}}, []int64{2}}},
		{"quotes", "to,name\n\"1\",\"Ana \"\"A\"\", Maria\"\n", table{[]string{"to", "name"}, [][]string{{"1", `Ana "A", Maria`}}, []int64{2}}},
		{"quotes at the end of the file", "to,name\n1,\"Ana\"", table{[]string{"to", "name"}, [][]string{{"1", "Ana"}}, []int64{2}}},
		{
			"lines inside of quotes", "to,text\r\n1,\"a\r\nb\nc\"\r\n2,d\r\n",
			table{[]string{"to", "text"}, [][]string{{"1", "a\nb\nc"}, {"2", "d"}}, []int64{2, 5}},
		},
		{"a separator inside of a quoted header", "\"to;;;\",name\n1,Ana\n", table{[]string{"to;;;", "name"}, [][]string{{"1", "Ana"}}, []int64{2}}},
		{"a quoted header of two lines", "to,\"a\nb,,;\"\n1,Ana\n", table{[]string{"to", "a\nb,,;"}, [][]string{{"1", "Ana"}}, []int64{3}}},
		{"headers that differ in case", "to,To\n1,2\n", table{[]string{"to", "To"}, [][]string{{"1", "2"}}, []int64{2}}},
		{"the widest", wide(256) + "\n", table{strings.Split(wide(256), ","), nil, nil}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := read(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// wide is a header of so many columns.
func wide(columns int) string {
	var names []string
	for n := range columns {
		names = append(names, "c"+strconv.Itoa(n))
	}
	return strings.Join(names, ",")
}

// Whoever uploads a file must find what is wrong with it: the place, and what
// to do.
func TestWhatIsWrongIsRefusedWithItsPlace(t *testing.T) {
	long := strings.Repeat("a", sheet.MaxCellBytes)
	for _, c := range []struct {
		name, text string
		want       sheet.Error // without the sentence
		says       string
	}{
		{"empty", "", sheet.Error{Code: sheet.CodeEmpty}, "empty"},
		{"a mark alone", "\ufeff", sheet.Error{Code: sheet.CodeEmpty}, "empty"},
		{"blank lines alone", "\ufeff\n \r\n\n", sheet.Error{Code: sheet.CodeEmpty}, "empty"},
		{"a workbook", "PK\x03\x04\x14\x00\x06\x00", sheet.Error{Code: sheet.CodeNotCSV}, "workbook"},
		{"an old workbook", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", sheet.Error{Code: sheet.CodeNotCSV}, "workbook"},
		{"UTF-16, little end first", "\xff\xfet\x00o\x00\n\x00", sheet.Error{Code: sheet.CodeUTF16}, "UTF-16"},
		{"UTF-16, big end first", "\xfe\xff\x00t\x00o\x00\n", sheet.Error{Code: sheet.CodeUTF16}, "UTF-16"},
		{"UTF-16 without a mark", "t\x00o\x00,\x00n\x00\n\x00", sheet.Error{Code: sheet.CodeUTF16}, "UTF-16"},
		{"Latin-1", "to,name\n1,Ana\n2,Jo\xe3o\n", sheet.Error{Row: 2, Line: 3, Column: "name", Code: sheet.CodeNotUTF8}, "Latin-1"},
		{"Windows-1252", "to,name\n1,\"\x93Ana\x94\"\n", sheet.Error{Row: 1, Line: 2, Column: "name", Code: sheet.CodeNotUTF8}, "Windows-1252"},
		{"Latin-1 in a header", "to,endere\xe7o\n", sheet.Error{Line: 1, Column: "B", Code: sheet.CodeNotUTF8}, "Latin-1"},
		{"neither", "to,name\n1,Jo\x81o\n", sheet.Error{Row: 1, Line: 2, Column: "name", Code: sheet.CodeNotUTF8}, "not UTF-8; save"},
		{"two encodings", "to,name\n1,João \xe3\n", sheet.Error{Row: 1, Line: 2, Column: "name", Code: sheet.CodeNotUTF8}, "not UTF-8; save"},
		{"NUL", "to,name\n1,A\x00na\n", sheet.Error{Row: 1, Line: 2, Column: "name", Code: sheet.CodeNUL}, "damaged"},
		{"NUL in quotes", "to,name\n1,\"A\x00na\"\n", sheet.Error{Row: 1, Line: 2, Column: "name", Code: sheet.CodeNUL}, "damaged"},
		{"lines that end with CR alone", "to,name\r1,Ana\r", sheet.Error{Line: 1, Column: "B", Code: sheet.CodeBareCR}, "CR LF"},
		{"CR in a cell", "to,name\n1,a\rb\n", sheet.Error{Row: 1, Line: 2, Column: "name", Code: sheet.CodeBareCR}, "CR LF"},
		{"CR behind a quote", "to,name\n1,\"a\"\rb\n", sheet.Error{Row: 1, Line: 2, Column: "name", Code: sheet.CodeBareCR}, "CR LF"},
		{"a bare quote", "to,name\n1,Ana \"A\"\n", sheet.Error{Row: 1, Line: 2, Column: "name", Code: sheet.CodeBareQuote}, "twice"},
		{"a space before a quote", "to,name\n1, \"Ana\"\n", sheet.Error{Row: 1, Line: 2, Column: "name", Code: sheet.CodeBareQuote}, "twice"},
		{"text after a quote", "to,name\n1,\"A\" na\n", sheet.Error{Row: 1, Line: 2, Column: "name", Code: sheet.CodeAfterQuote}, "line 2"},
		{"text after a quote lines below", "to,name\n1,\"A\n\nb\"c\n", sheet.Error{Row: 1, Line: 2, Column: "name", Code: sheet.CodeAfterQuote}, "on line 4"},
		{"an open quote", "to,name\n1,Ana\n2,\"Bia\n3,Cid\n", sheet.Error{Row: 2, Line: 3, Column: "name", Code: sheet.CodeOpenQuote}, "never closed"},
		{"an open quote and doubled ones", "to,name\n1,\"A\"\"\n", sheet.Error{Row: 1, Line: 2, Column: "name", Code: sheet.CodeOpenQuote}, "never closed"},
		{"no header of a column", "to,,name\n", sheet.Error{Line: 1, Column: "B", Code: sheet.CodeEmptyHeader}, "name it"},
		{"a separator too many", "to,name, \n", sheet.Error{Line: 1, Column: "C", Code: sheet.CodeEmptyHeader}, "name it"},
		{"a header twice", "\nto,name,  name\n", sheet.Error{Line: 2, Column: "name", Code: sheet.CodeDuplicateHeader}, "B and C"},
		{"a column too many", wide(257) + "\n", sheet.Error{Line: 1, Column: "IW", Code: sheet.CodeTooManyColumns}, "256"},
		{"too few cells", "to,name,city\n1,Ana\n", sheet.Error{Row: 1, Line: 2, Column: "city", Code: sheet.CodeTooFewCells}, "2 of 3"},
		{"too many cells", "to,name\n1,Ana\n2,Silva, Bia\n", sheet.Error{Row: 2, Line: 3, Column: "C", Code: sheet.CodeTooManyCells}, "in quotes"},
		{"too many cells, by tabs", "to\tname\n1\tAna\t\n", sheet.Error{Row: 1, Line: 2, Column: "C", Code: sheet.CodeTooManyCells}, "(tab)"},
		{"a cell too long", "to,name\n1," + long + "b\n", sheet.Error{Row: 1, Line: 2, Column: "name", Code: sheet.CodeCellTooLong}, "65536 bytes."},
		{
			"a quote that is closed far below", "to,name\n1,\"Ana\n" + strings.Repeat("2,Bia\n", 20_000) + "3,\"Cid\"\n",
			sheet.Error{Row: 1, Line: 2, Column: "name", Code: sheet.CodeCellTooLong},
			"never closed",
		},
		{"a row too long", wide(20) + "\n" + strings.Repeat(long+",", 19) + "\n", sheet.Error{Row: 1, Line: 2, Column: "c16", Code: sheet.CodeRowTooLong}, "1048576"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := read(c.text)
			got, ok := errors.AsType[*sheet.Error](err)
			if !ok {
				t.Fatalf("the error is %v; want %s", err, c.want.Code)
			}
			if !strings.Contains(got.Message, c.says) {
				t.Errorf("the sentence lacks %q: %s", c.says, got.Message)
			}
			bare := *got
			bare.Message = ""
			if diff := cmp.Diff(c.want, bare); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnErrorTellsItsPlace(t *testing.T) {
	for _, c := range []struct {
		err  sheet.Error
		want string
	}{
		{sheet.Error{Message: "No."}, "No."},
		{sheet.Error{Line: 1, Column: "B", Message: "No."}, `header (line 1), column "B": No.`},
		{sheet.Error{Row: 2, Line: 4, Column: "name", Message: "No."}, `row 2 (line 4), column "name": No.`},
		{sheet.Error{Row: 2, Line: 4, Message: "No."}, `row 2 (line 4): No.`},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %s; want %s", got, c.want)
		}
	}
}

// An error ends the reading: what follows a broken quote is not what it seems.
func TestNothingIsReadBehindAnError(t *testing.T) {
	const text = "to,name\n1,\"A\"x\n2,Bia\n"
	r, err := sheet.Open(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	_, _, first := r.Read()
	cells, _, second := r.Read()
	if first == nil || second != first || cells != nil { //nolint:errorlint // the same one
		t.Errorf("Read = %v, then %q with %v; want the same error twice", first, cells, second)
	}
}

// A disk's error is not the file's fault.
func TestErrorsOfTheDiskArePassedOn(t *testing.T) {
	disk := errors.New("the disk is gone")
	text := "to,name\n" + strings.Repeat("1,Ana\n", 100_000)
	for _, after := range []int{0, 10, 5000, 300_000} {
		r, err := sheet.Open(failing{strings.NewReader(text), int64(after), disk}, int64(len(text)))
		for err == nil {
			_, _, err = r.Read()
		}
		if !errors.Is(err, disk) {
			t.Errorf("a disk that fails after %d bytes: %v", after, err)
		}
	}
}

// failing is a file whose disk fails behind a place.
type failing struct {
	io.ReaderAt
	after int64
	err   error
}

func (f failing) ReadAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > f.after {
		return iotest.ErrReader(f.err).Read(p)
	}
	return f.ReaderAt.ReadAt(p, at)
}

// 200,000 columns are refused at the 257th, and an endless first line costs no
// memory of its size.
func TestAnAbsurdHeaderIsRefusedInLittleMemory(t *testing.T) {
	for name, text := range map[string]string{ // each is refused where it begins, but for the lines
		"200,000 columns":      wide(200_000) + "\n",
		"25 MiB of separators": strings.Repeat(",", 25<<20),
		"25 MiB in one cell":   strings.Repeat("a", 25<<20),
		"4 MiB of blank lines": strings.Repeat("\n", 4<<20),
		"25 MiB in quotes":     `"` + strings.Repeat("\n", 25<<20),
	} {
		t.Run(name, func(t *testing.T) {
			file := strings.NewReader(text)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := sheet.Open(file, file.Size())
			runtime.ReadMemStats(&after)
			if _, ok := errors.AsType[*sheet.Error](err); !ok {
				t.Errorf("err = %v", err)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 2<<20 {
				t.Errorf("%d bytes were allocated", took)
			}
		})
	}
}

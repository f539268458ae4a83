package sqlerr

// Code names a kind of mistake. It is stable: documentation, tests and programs may refer to it.
type Code string

// The codes. 1000 to 1999 are mistakes of the text, 2000 to 2999 of names, 3000 to 3999 of types, 4000 to 4999 are statements
// that are right but cannot be planned, 5000 to 5999 commands that cannot be carried out.
const (
	Syntax           Code = "SQL-1001"
	Unterminated     Code = "SQL-1002"
	BadCharacter     Code = "SQL-1003"
	BadNumber        Code = "SQL-1004"
	BadString        Code = "SQL-1005"
	TooLarge         Code = "SQL-1006"
	TooDeep          Code = "SQL-1007"
	ReservedWord     Code = "SQL-1008"
	Incomplete       Code = "SQL-1009"
	UnknownStatement Code = "SQL-1010"
	BadClause        Code = "SQL-1011"
	Duplicate        Code = "SQL-1012"
	BadInterval      Code = "SQL-1013"
	BadType          Code = "SQL-1014"
	BadHint          Code = "SQL-1015"
	NotOneStatement  Code = "SQL-1016"

	UnknownTable    Code = "SQL-2001"
	UnknownColumn   Code = "SQL-2002"
	AmbiguousColumn Code = "SQL-2003"
	UnknownFunction Code = "SQL-2004"
	UnknownCatalog  Code = "SQL-2005"
	AlreadyExists   Code = "SQL-2006"
	UnknownOption   Code = "SQL-2007"
	DuplicateName   Code = "SQL-2008"
	UnknownWindow   Code = "SQL-2009"

	TypeMismatch     Code = "SQL-3001"
	WrongArguments   Code = "SQL-3002"
	BadCast          Code = "SQL-3003"
	BadLiteral       Code = "SQL-3004"
	ColumnCount      Code = "SQL-3005"
	NotAggregated    Code = "SQL-3006"
	MisplacedCall    Code = "SQL-3007"
	UnresolvableType Code = "SQL-3008"

	Unsupported     Code = "SQL-4001"
	NotBounded      Code = "SQL-4002"
	SinkCannotTake  Code = "SQL-4003"
	NoEventTime     Code = "SQL-4004"
	MissingOption   Code = "SQL-4005"
	InvalidOption   Code = "SQL-4006"
	PlanMismatch    Code = "SQL-4007"
	CommandRejected Code = "SQL-5001"
)

// Meaning is one row of the table of codes.
type Meaning struct {
	Code Code
	// Text says in a sentence what the code means.
	Text string
}

// Meanings returns the table of all codes in ascending order; the reference page is made from it.
func Meanings() []Meaning {
	return []Meaning{
		{Syntax, "A word or sign stands where the grammar does not allow it."},
		{Unterminated, "A string, quoted name, comment or hint is opened and never closed."},
		{BadCharacter, "A character has no meaning in SQL."},
		{BadNumber, "A number is malformed or out of the range that its place allows."},
		{BadString, "A string has a malformed escape or an odd number of hexadecimal digits."},
		{TooLarge, "The text is larger than the parser accepts, or the statement reads more tables than are planned together."},
		{TooDeep, "Expressions, queries or types are nested deeper than the parser accepts."},
		{ReservedWord, "A reserved word is used as a name without quotes."},
		{Incomplete, "The text ends in the middle of a statement."},
		{UnknownStatement, "A statement begins with a word that begins no statement."},
		{BadClause, "A clause is known, but it cannot be used in this place or together with another."},
		{Duplicate, "A clause that may stand once is written twice."},
		{BadInterval, "The fields of an interval do not go together."},
		{BadType, "A type is malformed or takes no such parameters."},
		{BadHint, "A hint is malformed or stands where no hint may stand."},
		{NotOneStatement, "Exactly one statement was asked for and the text holds none or several."},

		{UnknownTable, "No table or view has this name."},
		{UnknownColumn, "No column has this name."},
		{AmbiguousColumn, "Several columns have this name; it must be qualified."},
		{UnknownFunction, "No function has this name."},
		{UnknownCatalog, "No catalog or database has this name."},
		{AlreadyExists, "An object of this name exists already."},
		{UnknownOption, "No option has this key."},
		{DuplicateName, "A name that must be unique is given twice."},
		{UnknownWindow, "No window of this name is defined in the query."},

		{TypeMismatch, "An operator or clause cannot work with values of these types."},
		{WrongArguments, "A function is called with arguments that it does not take."},
		{BadCast, "There is no cast between these types."},
		{BadLiteral, "A literal does not hold a value of its type."},
		{ColumnCount, "Two lists of columns that must go together differ in length."},
		{NotAggregated, "A column is neither grouped nor inside an aggregate."},
		{MisplacedCall, "An aggregate or window call stands where none may stand."},
		{UnresolvableType, "The type of an expression cannot be known from its place."},

		{Unsupported, "The statement is right, but this construct cannot be planned yet."},
		{NotBounded, "The construct needs an input that ends."},
		{SinkCannotTake, "The sink cannot take the kind of changes that the query makes."},
		{NoEventTime, "The construct needs a time attribute with a watermark."},
		{MissingOption, "A connector or format needs an option that is not given."},
		{InvalidOption, "An option has a value that it cannot have."},
		{PlanMismatch, "A compiled plan does not fit the statement or this version."},

		{CommandRejected, "A command is right, but cannot be carried out now."},
	}
}

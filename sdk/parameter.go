package sdk

// ParameterType is the type of a parameter's value.
type ParameterType string

// The types of a parameter.
const (
	TypeBool      ParameterType = "bool"
	TypeInt       ParameterType = "int"
	TypeFloat     ParameterType = "float"
	TypeString    ParameterType = "string"
	TypeList      ParameterType = "list"
	TypeTable     ParameterType = "table"      // keys named by the schema
	TypeFreeTable ParameterType = "free table" // any keys, recorded as given
)

// Role says what a parameter changes.
type Role string

// The roles of a parameter.
const (
	RoleMeasurement Role = "measurement" // what is measured
	RoleMachine     Role = "machine"     // where things lie on this machine
	RoleExecution   Role = "execution"   // how the run is conducted
)

// Parameter describes one key of a plugin's table. Build it with Bool, Int,
// Float, Text, Path, List, Nested or Free and the methods below:
//
//	sdk.Int("threads").Unit("threads").Between(1, 1024).Doc("Worker threads of the engine.")
type Parameter struct {
	Key         string
	Type        ParameterType
	UnitName    string
	Default     any // nil: the engine decides and its load report says what
	Enum        []any
	Min, Max    any // inclusive; nil: no bound
	Required    bool
	Secret      bool
	Role        Role
	Sweepable   bool
	Description string
	Since       string
	Element     ParameterType // of a list
	Format      string        // FormatPath, or "" for any text
	Children    []Parameter   // of a table
}

func newParameter(key string, t ParameterType) Parameter {
	return Parameter{Key: key, Type: t, Role: RoleMeasurement, Sweepable: true}
}

// Bool starts a boolean parameter.
func Bool(key string) Parameter { return newParameter(key, TypeBool) }

// Int starts an integer parameter.
func Int(key string) Parameter { return newParameter(key, TypeInt) }

// Float starts a floating-point parameter; a study may also write an integer.
func Float(key string) Parameter { return newParameter(key, TypeFloat) }

// Text starts a string parameter.
func Text(key string) Parameter { return newParameter(key, TypeString) }

// FormatPath is the format of a text that names a file or a directory.
const FormatPath = "path"

// Path starts a text that names a file or a directory of this machine. A relative
// one is taken from the directory of the study file, and is absolute when the
// plugin gets it.
func Path(key string) Parameter {
	p := newParameter(key, TypeString).For(RoleMachine)
	p.Format = FormatPath
	return p
}

// List starts a list whose elements have the type element.
func List(key string, element ParameterType) Parameter {
	p := newParameter(key, TypeList)
	p.Element = element
	return p
}

// Nested starts a table with the given keys.
func Nested(key string, children ...Parameter) Parameter {
	p := newParameter(key, TypeTable)
	p.Children = children
	return p
}

// Free starts a table that takes any keys, for options of an engine that the
// plugin passes through and the result records.
func Free(key string) Parameter { return newParameter(key, TypeFreeTable) }

// Doc sets the sentence that `llem plugins show` prints.
func (p Parameter) Doc(text string) Parameter { p.Description = text; return p }

// Unit names the unit of the value.
func (p Parameter) Unit(name string) Parameter { p.UnitName = name; return p }

// Or sets the default.
func (p Parameter) Or(value any) Parameter { p.Default = value; return p }

// OneOf restricts the value to the given ones.
func (p Parameter) OneOf(values ...any) Parameter { p.Enum = values; return p }

// Between sets both bounds, inclusive.
func (p Parameter) Between(low, high any) Parameter { p.Min, p.Max = low, high; return p }

// AtLeast sets the lower bound, inclusive.
func (p Parameter) AtLeast(low any) Parameter { p.Min = low; return p }

// Must makes the parameter required.
func (p Parameter) Must() Parameter { p.Required = true; return p }

// Hidden makes the parameter a secret: it may only be given as {env = "X"} or
// {file = "X"}, and no log or result ever holds it. It cannot be swept, and it
// stands at the top of the table: CheckSecrets refuses one inside a Nested.
func (p Parameter) Hidden() Parameter { p.Secret, p.Sweepable = true, false; return p }

// For sets the role. Only measurement parameters can be swept.
func (p Parameter) For(role Role) Parameter {
	p.Role = role
	p.Sweepable = p.Sweepable && role == RoleMeasurement
	return p
}

// Fixed takes the parameter out of sweeps.
func (p Parameter) Fixed() Parameter { p.Sweepable = false; return p }

// AddedIn names the plugin version that introduced the key.
func (p Parameter) AddedIn(version string) Parameter { p.Since = version; return p }

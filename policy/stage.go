package policy

// Stage says how far a rule is in force. The zero value is no stage: [Compile] refuses it.
type Stage string

const (
	Off      Stage = "off"      // the rule does nothing
	Report   Stage = "report"   // it records who would be stopped and stops nobody
	Grace    Stage = "grace"    // it gives each person until their date
	Enforced Stage = "enforced" // it holds now
)

var stageNames = []string{string(Off), string(Report), string(Grace), string(Enforced)}

// rank orders stages from weak to strong; 0 is no stage.
func (s Stage) rank() int {
	switch s {
	case Off:
		return 1
	case Report:
		return 2
	case Grace:
		return 3
	case Enforced:
		return 4
	}
	return 0
}

// Valid says whether s is one of the four stages.
func (s Stage) Valid() bool { return s.rank() > 0 }

// Weaker says whether s demands less than t. What is no stage is weaker than every stage.
func (s Stage) Weaker(t Stage) bool { return s.rank() < t.rank() }

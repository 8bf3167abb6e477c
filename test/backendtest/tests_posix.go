//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package backendtest

// descriptorTests are those that look at descriptors, or at files.
var descriptorTests = []Test{
	{Name: "S4_AStolenConnectionShowsNothing", fds: true, run: s4AStolenConnectionShowsNothing},
	{Name: "S4_SignalsShowNothing", fds: true, alone: true, run: s4SignalsShowNothing},
	{Name: "S9_FlagsOfEverySocket", fds: true, run: s9FlagsOfEverySocket},
	{Name: "S9_NothingIsLeftToChildren", fds: true, run: s9NothingIsLeftToChildren},
	{Name: "S9_OptionsAreInherited", fds: true, run: s9OptionsAreInherited},
	{Name: "S9_OptionsOfALiveSocket", fds: true, run: s9OptionsOfALiveSocket},
	{Name: "S9_AStaleUnixFileIsReplaced", fds: true, alone: true, run: s9AStaleUnixFileIsReplaced},
	{Name: "S9_CloseRemovesOnlyItsOwnFile", fds: true, alone: true, run: s9CloseRemovesOnlyItsOwnFile},
	{Name: "S9_AbstractNames", fds: true, run: s9AbstractNames},
	{Name: "S11_RelayOfAWrongEnd", fds: true, run: s11RelayOfAWrongEnd},
	{Name: "S13a_AChildHasWhatIsNamed", fds: true, alone: true, run: s13aAChildHasWhatIsNamed},
	{Name: "S13a_ManyChildrenAtOnce", fds: true, alone: true, run: s13aManyChildrenAtOnce},
	{Name: "S13a_AChildOnATerminal", fds: true, alone: true, run: s13aAChildOnATerminal},
	{Name: "S15_DetachedIsUsableByOthers", fds: true, run: s15DetachedIsUsableByOthers},
	{Name: "S15_AdoptsASocketpair", fds: true, alone: true, run: s15AdoptsASocketpair},
	{Name: "S15_AdoptsAListener", fds: true, run: s15AdoptsAListener},
	{Name: "S15_DuplicatesAreAdoptedInTurn", fds: true, alone: true, run: s15DuplicatesAreAdoptedInTurn},
	{Name: "S15_ANumberForgetsItsDirection", fds: true, alone: true, run: s15ANumberForgetsItsDirection},
	{Name: "S15_BadDescriptorsStayTheCallers", fds: true, alone: true, run: s15BadDescriptorsStayTheCallers},
	{Name: "S16_NoDescriptorLeft", fds: true, alone: true, run: s16NoDescriptorLeft},
}

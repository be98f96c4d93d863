package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCommand prints a static script: sub-commands and flags of each
// level, file names for everything else.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run prints the script; `source <(llem completion bash)` enables it.
func (c *completionCommand) Run(a *app, k *kong.Kong) error {
	levels, values := map[string][]string{}, map[string][]string{}
	collect(k.Model.Node, "", levels, values)
	var err error
	switch c.Shell {
	case "fish":
		_, err = fmt.Fprint(a.stdout, fishScript(levels, values))
	case "zsh":
		_, err = fmt.Fprint(a.stdout, "autoload -U +X bashcompinit && bashcompinit\n"+bashScript(levels, values))
	default:
		_, err = fmt.Fprint(a.stdout, bashScript(levels, values))
	}
	return err
}

// collect lists the words that may follow each command path ("", "plugins",
// "plugins show"), and the values that may follow a flag there ("run --format").
func collect(node *kong.Node, path string, levels, values map[string][]string) {
	words := []string{"--help"}
	for _, flag := range node.Flags {
		if !flag.Hidden && flag.Name != "help" {
			words = append(words, "--"+flag.Name)
		}
		if choices := flagValues(flag); len(choices) > 0 {
			values[strings.TrimSpace(path+" --"+flag.Name)] = choices
		}
	}
	for _, child := range node.Children {
		if child.Hidden {
			continue
		}
		words = append(words, child.Name)
		collect(child, strings.TrimSpace(path+" "+child.Name), levels, values)
	}
	slices.Sort(words)
	levels[path] = slices.Compact(words)
}

// flagValues are the values of a flag, if they can be listed.
func flagValues(flag *kong.Flag) []string {
	if flag.Name == "profile" {
		return []string{"publication", "quick", "standard"}
	}
	return slices.DeleteFunc(slices.Sorted(slices.Values(flag.EnumSlice())), func(s string) bool { return s == "" }) // no enum splits into one
}

// bashScript completes by the commands among the words so far, and the values of
// a flag behind it; other words (files, other values) are passed over. Bash makes
// the = of --flag=value a word of its own.
func bashScript(levels, values map[string][]string) string {
	var b strings.Builder
	b.WriteString("_llem() {\n  local current=\"${COMP_WORDS[COMP_CWORD]}\" path=\"\" words=\"\" word at=$((COMP_CWORD-1))\n" +
		"  if [ \"$current\" = = ]; then current=\"\"; elif [ \"${COMP_WORDS[at]}\" = = ]; then at=$((at-1)); fi\n" +
		"  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n    case \"${path:+$path }$word\" in\n")
	for _, path := range sortedKeys(levels) {
		if path != "" {
			fmt.Fprintf(&b, "      %q) path=%q ;;\n", path, path)
		}
	}
	b.WriteString("    esac\n  done\n  case \"$path\" in\n")
	for _, path := range sortedKeys(levels) {
		fmt.Fprintf(&b, "    %q) words=%q ;;\n", path, strings.Join(levels[path], " "))
	}
	b.WriteString("  esac\n  case \"${path:+$path }${COMP_WORDS[at]}\" in\n")
	for _, flag := range sortedKeys(values) {
		fmt.Fprintf(&b, "    %q) words=%q ;;\n", flag, strings.Join(values[flag], " "))
	}
	b.WriteString("  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n}\ncomplete -o default -F _llem llem\n")
	return b.String()
}

func fishScript(levels, values map[string][]string) string {
	var b strings.Builder
	for _, path := range sortedKeys(levels) {
		condition := "__fish_use_subcommand"
		if path != "" {
			condition = "__fish_seen_subcommand_from " + path[strings.LastIndex(path, " ")+1:]
		}
		for _, word := range levels[path] {
			if flag, ok := strings.CutPrefix(word, "--"); ok {
				line := fmt.Sprintf("complete -c llem -n %q -l %s", condition, flag)
				if choices := values[strings.TrimSpace(path+" "+word)]; len(choices) > 0 {
					line += fmt.Sprintf(" -x -a %q", strings.Join(choices, " "))
				}
				b.WriteString(line + "\n")
			} else {
				fmt.Fprintf(&b, "complete -c llem -n %q -a %s\n", condition, word)
			}
		}
	}
	return b.String()
}

func sortedKeys(m map[string][]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

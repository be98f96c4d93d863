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
	levels := map[string][]string{}
	collect(k.Model.Node, "", levels)
	var err error
	switch c.Shell {
	case "fish":
		_, err = fmt.Fprint(a.stdout, fishScript(levels))
	case "zsh":
		_, err = fmt.Fprint(a.stdout, "autoload -U +X bashcompinit && bashcompinit\n"+bashScript(levels))
	default:
		_, err = fmt.Fprint(a.stdout, bashScript(levels))
	}
	return err
}

// collect lists the words that may follow each command path ("", "plugins",
// "plugins show").
func collect(node *kong.Node, path string, levels map[string][]string) {
	words := []string{"--help"}
	for _, flag := range node.Flags {
		if !flag.Hidden && flag.Name != "help" {
			words = append(words, "--"+flag.Name)
		}
	}
	for _, child := range node.Children {
		if child.Hidden {
			continue
		}
		words = append(words, child.Name)
		collect(child, strings.TrimSpace(path+" "+child.Name), levels)
	}
	slices.Sort(words)
	levels[path] = slices.Compact(words)
}

// bashScript completes by the commands among the words so far; other words
// (values of flags, files) are passed over.
func bashScript(levels map[string][]string) string {
	var b strings.Builder
	b.WriteString("_llem() {\n  local current=\"${COMP_WORDS[COMP_CWORD]}\" path=\"\" words=\"\" word\n" +
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
	b.WriteString("  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n}\ncomplete -o default -F _llem llem\n")
	return b.String()
}

func fishScript(levels map[string][]string) string {
	var b strings.Builder
	for _, path := range sortedKeys(levels) {
		condition := "__fish_use_subcommand"
		if path != "" {
			condition = "__fish_seen_subcommand_from " + path[strings.LastIndex(path, " ")+1:]
		}
		for _, word := range levels[path] {
			if flag, ok := strings.CutPrefix(word, "--"); ok {
				fmt.Fprintf(&b, "complete -c llem -n %q -l %s\n", condition, flag)
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

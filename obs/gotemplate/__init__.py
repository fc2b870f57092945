"""Go's text/template, as far as annotations, notifications and log lines use it. Pure.

Source: pkg.go.dev/text/template
"""

// Package tidemill is the engine's front door for Go programs.
//
//	engine, err := tidemill.Embedded(ctx, tidemill.Options{Registry: registry})
//	session, err := engine.Open(ctx, nil)
//	result, err := session.Execute(ctx, text, statement)
//
// Embedded starts a whole cluster in the process, through the same code paths as
// a cluster of many; see core/client for what a session does. Builtins are the
// connectors, formats and file systems that come with the engine; a program with
// its own adds them to the Registry that it passes on.
package tidemill

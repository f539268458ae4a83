package spill

// Inject has ask called with "create", "write", "read" or "remove" before each of
// these; its error is theirs. Tests of operators call it, before anything else.
func (d *Directory) Inject(ask func(doing string) error) { d.layer = asked{d.layer, ask} }

type asked struct {
	layer
	ask func(doing string) error
}

func (l asked) create(name string) (file, error) {
	if err := l.ask("create"); err != nil {
		return nil, err
	}
	f, err := l.layer.create(name)
	if err != nil {
		return nil, err
	}
	return askedFile{f, l.ask}, nil
}

func (l asked) remove(name string) error {
	if err := l.ask("remove"); err != nil {
		return err
	}
	return l.layer.remove(name)
}

type askedFile struct {
	file
	ask func(doing string) error
}

func (f askedFile) Write(b []byte) (int, error) {
	if err := f.ask("write"); err != nil {
		return 0, err
	}
	return f.file.Write(b)
}

func (f askedFile) ReadAt(b []byte, at int64) (int, error) {
	if err := f.ask("read"); err != nil {
		return 0, err
	}
	return f.file.ReadAt(b, at)
}

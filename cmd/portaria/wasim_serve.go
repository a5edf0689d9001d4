package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"portaria/internal/fault"
	"portaria/wasim"
)

// wasimServeCmd starts the simulator.
type wasimServeCmd struct {
	Listen    string   `help:"Address that clients are led to." default:"127.0.0.1:7443" placeholder:"HOST:PORT"`
	Control   string   `help:"Address of the control port, on the loopback." default:"127.0.0.1:7480" env:"PORTARIA_WASIM_CONTROL" placeholder:"HOST:PORT"`
	Dir       string   `help:"Folder for the certificate, the environment and what is remembered." default:"./wasim-data" env:"PORTARIA_WASIM_DIR" placeholder:"DIR"`
	RoundTrip duration `help:"Delay of every answer, as 80ms." default:"0s" placeholder:"DURATION"`
}

// Help implements kong.HelpProvider.
func (wasimServeCmd) Help() string {
	return `A WhatsApp for rehearsals, for any program that is built on whatsmeow. Linked devices and sessions are kept in the
folder, so that a restart needs no pairing. Standard error shows the environment for the gateway; it is also in wasim.env.

  portaria wasim serve
  set -a; . ./wasim-data/wasim.env; set +a; portaria serve
  portaria wasim scan --phone 5511987654321 --instance shop`
}

// The files of the simulator's folder.
const (
	wasimCAFile    = "ca.pem"
	wasimEnvFile   = "wasim.env"
	wasimStateFile = "state.json"
)

// Run implements the command.
func (cmd *wasimServeCmd) Run(ctx context.Context, c *Config, io streams) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal has its default effect: it ends the process
	control, err := cmd.listenControl(ctx)
	if err != nil {
		return err
	}
	defer control.Close()
	dir, lock, err := openWasimDir(cmd.Dir)
	if err != nil {
		return err
	}
	defer lock.Close() // after the server has written its state
	log := c.logger(io.err)
	server, err := wasim.Start(wasim.Options{
		Addr: cmd.Listen, Logger: log, RoundTrip: time.Duration(cmd.RoundTrip), StateFile: filepath.Join(dir, wasimStateFile),
	})
	if err != nil {
		return wasimStartError(err)
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	env := wasimEnvironment{
		Addr: server.Addr(), CA: filepath.Join(dir, wasimCAFile), RootKey: rootKey(), Control: control.Addr().String(),
	}
	if err := env.write(dir); err != nil {
		return errWasimDir.Because(err)
	}
	if c.JSON {
		if err := printJSON(io, env); err != nil {
			return err
		}
	}
	fmt.Fprint(io.err, env.export())
	log.Info("simulating WhatsApp", "address", env.Addr, "control", env.Control)
	return serveControl(ctx, control, server.ControlHandler())
}

// listenControl listens on the loopback alone: whoever reaches the control
// port commands the simulator.
func (cmd *wasimServeCmd) listenControl(ctx context.Context) (net.Listener, error) {
	host, _, err := net.SplitHostPort(cmd.Control)
	address, perr := netip.ParseAddr(host)
	if err != nil || (host != "localhost" && (perr != nil || !address.IsLoopback())) {
		return nil, usageError("--control: must be an address of the loopback, as 127.0.0.1:7480")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cmd.Control)
	if err != nil {
		return nil, errListen.Saying("The control port cannot be listened on: another program may use it. Choose another --control.").Because(err)
	}
	return listener, nil
}

// wasimStartError names the flag of what kept the simulator from starting.
func wasimStartError(err error) error {
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return errListen.Because(err)
	}
	if fault.As(err) != nil {
		return err
	}
	return errWasimDir.Because(err)
}

// serveControl answers until ctx ends, and then lets what is in hand finish.
func serveControl(ctx context.Context, listener net.Listener, handler http.Handler) error {
	const grace = 5 * time.Second
	server := &http.Server{Handler: handler, ReadHeaderTimeout: grace, IdleTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the control port: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		return errors.Join(err, server.Close())
	}
	<-ended
	return nil
}

// wasimEnvironment is what a gateway needs to know to meet the simulator.
type wasimEnvironment struct {
	Addr    string `json:"addr"`
	CA      string `json:"ca"`
	RootKey string `json:"root_key"`
	Control string `json:"control"`
}

func rootKey() string {
	key := wasim.RootKey()
	return hex.EncodeToString(key[:])
}

// variables are the lines of an environment, with or without export.
func (e wasimEnvironment) variables(before string) string {
	return fmt.Sprintf("%[1]sPORTARIA_WHATSAPP_ADDR=%[2]s\n%[1]sPORTARIA_WHATSAPP_CA=%[3]s\n%[1]sPORTARIA_WHATSAPP_ROOT_KEY=%[4]s\n",
		before, shellWord(e.Addr), shellWord(e.CA), shellWord(e.RootKey))
}

// shellWord quotes what a shell would take apart.
func shellWord(text string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:-"
	if strings.Trim(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// export is what people paste.
func (e wasimEnvironment) export() string {
	return "\nIn the shell of the gateway:\n\n" + e.variables("export ") + "\n"
}

// write keeps the certificate and the environment in the folder.
func (e wasimEnvironment) write(dir string) error {
	env := e.variables("") + "PORTARIA_WASIM_CONTROL=" + shellWord(e.Control) + "\n"
	return errors.Join(
		os.WriteFile(filepath.Join(dir, wasimCAFile), wasim.CAPEM(), dataFileMode),
		os.WriteFile(filepath.Join(dir, wasimEnvFile), []byte(env), dataFileMode),
	)
}

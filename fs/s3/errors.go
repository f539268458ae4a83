package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// answer is an error that the server sent, in one line.
type answer struct {
	code, message, request string
	status                 int
	kind                   error // what fs calls it; may be nil
}

func (a *answer) Error() string {
	text := a.code
	if a.message != "" {
		text += ": " + a.message
	}
	text = fmt.Sprintf("%s (status %d", text, a.status)
	if a.request != "" {
		text += ", request " + a.request
	}
	return text + ")"
}

func (a *answer) Unwrap() error { return a.kind }

// fail makes the error of a method out of what the SDK returned: named, and
// classified. A context that is done explains every other error.
func fail(ctx context.Context, op, path string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fs.Wrap(op, path, ctx.Err())
	}
	err = classify(err)
	var a *answer
	if errors.As(err, &a) && errors.Is(a.kind, fs.ErrPermission) {
		at, _ := locate(path)
		err = fmt.Errorf("%w; bucket %s: %s", err, at.bucket, a.advice())
	}
	return fs.Wrap(op, path, err)
}

// advice is what to look at when access is denied.
func (a *answer) advice() string {
	switch a.code {
	case "InvalidAccessKeyId":
		return "the server does not know the access key, check s3.access-key and s3.endpoint"
	case "SignatureDoesNotMatch":
		return "check s3.secret-key and s3.region"
	case "RequestTimeTooSkewed":
		return "check the clock of this machine"
	case "ExpiredToken", "TokenRefreshRequired":
		return "the credentials have expired"
	}
	return "the credentials do not allow it, check whose they are (s3.access-key, environment, profile) and the bucket's policy"
}

func classify(err error) error {
	var known *answer
	if failure.Of(err) != failure.Fatal || errors.As(err, &known) {
		return err
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return classifyAnswer(newAnswer(api, err))
	}
	var unknown *net.DNSError
	if errors.As(err, &unknown) && unknown.IsNotFound {
		return failure.Errorf(failure.Usage, "%w; is s3.endpoint right?", err)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return failure.Errorf(failure.Transient, "%w; is s3.endpoint right?", err)
	}
	if network(err) {
		return failure.Wrap(failure.Transient, err)
	}
	return err
}

func newAnswer(api smithy.APIError, err error) *answer {
	a := &answer{code: api.ErrorCode(), message: api.ErrorMessage()}
	var resp *awshttp.ResponseError
	if errors.As(err, &resp) {
		a.status, a.request = resp.HTTPStatusCode(), resp.ServiceRequestID()
	}
	return a
}

func classifyAnswer(a *answer) error {
	switch {
	case a.code == "InvalidObjectState" || a.code == "KMS.DisabledException":
		return failure.Wrap(failure.Fatal, a)
	case a.code == "ObjectParentIsFile" || a.code == "ExistingObjectIsDirectory":
		a.kind = syscall.ENOTDIR // of servers that keep objects as files
	case a.status == http.StatusNotFound:
		a.kind = fs.ErrNotExist
	case a.code == "ExpiredToken" || a.status == http.StatusForbidden || a.status == http.StatusUnauthorized:
		a.kind = fs.ErrPermission
	case a.status == http.StatusMovedPermanently || a.code == "AuthorizationHeaderMalformed":
		a.message += "; are s3.region and s3.endpoint right?"
		return failure.Wrap(failure.Usage, a)
	case a.status >= 500, a.status == http.StatusTooManyRequests, a.status == http.StatusRequestTimeout,
		a.code == "RequestTimeout", a.code == "SlowDown", a.code == "OperationAborted", a.code == "ConditionalRequestConflict":
		return failure.Wrap(failure.Transient, a)
	}
	return a
}

// network reports whether no answer came, or only a part of it.
func network(err error) bool {
	var net net.Error
	var quota ratelimit.QuotaExceededError
	return errors.As(err, &net) || errors.As(err, &quota) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// status is the HTTP status of the answer, 0 without one.
func status(err error) int {
	var resp *awshttp.ResponseError
	if errors.As(err, &resp) {
		return resp.HTTPStatusCode()
	}
	return 0
}

// refused reports whether a conditional request did not meet its condition, or
// met another request that was changing the object.
func refused(err error) bool {
	var api smithy.APIError
	return status(err) == http.StatusPreconditionFailed || errors.As(err, &api) && api.ErrorCode() == "ConditionalRequestConflict"
}

// missing reports whether the object, upload or bucket does not exist.
func missing(err error) bool {
	return status(err) == http.StatusNotFound || errors.Is(err, fs.ErrNotExist)
}

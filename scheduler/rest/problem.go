package rest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
)

// statusOf is the HTTP status of an error.
func statusOf(err error) int {
	if errors.Is(err, context.DeadlineExceeded) {
		return http.StatusGatewayTimeout
	}
	switch failure.Of(err) {
	case failure.NotFound:
		return http.StatusNotFound
	case failure.Conflict:
		return http.StatusConflict
	case failure.Unauthorized:
		return http.StatusForbidden
	case failure.Usage, failure.InvalidSQL, failure.BadData:
		return http.StatusUnprocessableEntity
	case failure.Transient, failure.LostPartition:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// problem is an error as huma answers it.
func problem(err error) error {
	return huma.NewError(statusOf(err), err.Error())
}

// refuse answers a request that comes no further.
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: detail})
}

func classOf(f *rpc.Failure) string { return failure.Class(f.GetClass()).String() }

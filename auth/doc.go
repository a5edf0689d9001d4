// Package auth says who calls and what they may do: API keys, their scopes and
// grants, the directory that verifies keys on every request, and the token
// buckets at the door.
//
// What it promises:
//
//   - a token is shown once, when it is minted, and kept only as a bcrypt hash;
//     the Token type redacts itself wherever it is printed or logged;
//   - a verified key costs one SHA-256 a request: bcrypt runs once per key and
//     process, and never for a wrong secret (Directory.Authenticate);
//   - a revoked key stops working at once in the process that revoked it, and
//     within one poll of the epoch everywhere else (Directory.Run);
//   - malformed, unknown, wrong and revoked tokens get the same answer;
//   - the keys of one rotation chain, a lineage, share their buckets.
//
// It knows no HTTP and no SQL: gateway asks a Grant what it opens, and store
// implements Store and KeyStore.
package auth

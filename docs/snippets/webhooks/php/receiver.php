<?php
// A receiver of webhooks, with nothing to install: PORTARIA_WEBHOOK_SECRET=whsec_… php -S 127.0.0.1:9000 receiver.php

// Tells whether Portaria signed this body within the last five minutes.
function verify(string $secret, array $headers, string $body): bool
{
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret), true);
    $id = $headers['HTTP_WEBHOOK_ID'] ?? '';
    $at = $headers['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    if (!$key || !ctype_digit($at) || abs(time() - (int) $at) > 300) {
        return false;
    }
    $want = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$at.$body", $key, true));
    foreach (explode(' ', $headers['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $given) {
        if (hash_equals($want, $given)) {
            return true;
        }
    }
    return false;
}

$body = file_get_contents('php://input', false, null, 0, 1 << 20); // the bytes as they came: they are what is signed
if ($_SERVER['REQUEST_METHOD'] !== 'POST' || !verify((string) getenv('PORTARIA_WEBHOOK_SECRET'), $_SERVER, $body)) {
    http_response_code(401);
    exit;
}
$event = json_decode($body, true);
error_log("$event[id] $event[type]"); // keep the id with what you do: an event may come twice
http_response_code(204);

"""A shop that tells its customers about their orders."""

import json, re, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from portaria import Refusal, verified


def whatsapp_id(phone):
    return re.sub(r"\D", "", phone) + "@s.whatsapp.net"


class Order:
    def __init__(self, number, phone):
        self.number, self.phone, self.state = number, phone, "in the oven"
        self.notice = None  # told, call (by phone) or none


class Shop:
    def __init__(self, portaria):
        self.portaria = portaria
        self.orders = {}  # by number
        self.silent = set()  # who said STOP, as WhatsApp calls them
        self.answered = {}  # what was said, by the id of the message that it answers
        self.changed = threading.Condition()  # guards all of them

    def order_ready(self, number):
        """Tell the customer. What comes of it is the order's notice."""
        with self.changed:
            order = self.orders[number]
            order.state = "ready"
            stopped = whatsapp_id(order.phone) in self.silent
        if stopped:
            return self.note(order, "none")
        message = {"to": order.phone, "text": f"Your order {number} is ready.", "metadata": {"order": number}}
        try:
            self.portaria.ask("POST", "/v1/messages", message, **{"Idempotency-Key": f"order-{number}-ready"})
        except Refusal as refused:
            if refused.code != "INVALID_RECIPIENT":
                raise
            self.note(order, "call")

    def note(self, order, notice):
        with self.changed:
            order.notice = notice
            self.changed.notify_all()

    def handle(self, event):
        """Take an event. It may come twice, and must do no harm then."""
        message = event["data"]["message"]
        order = self.orders.get((message["metadata"] or {}).get("order"))
        if event["type"] == "message.delivered" and order:
            self.note(order, "told")
        elif event["type"] == "message.failed" and order and message["error"]["code"] == "NOT_ON_WHATSAPP":
            self.note(order, "call")
        elif event["type"] == "message.received" and message["type"] == "text":
            self.answer(message)

    def answer(self, message):
        text, who = message["content"]["body"].strip(), message["from"]["wa_id"]
        if text.upper() == "STOP":
            with self.changed:
                self.silent.add(who)
                self.changed.notify_all()
            return
        number = re.search(r"\b\d+\b", text)
        order = self.orders.get(number.group()) if number else None
        reply = f"Order {order.number} is {order.state}." if order else "Which order? Send its number."
        answer = {"to": who, "text": reply, "reply_to": message["id"]}
        self.portaria.ask("POST", "/v1/messages", answer, **{"Idempotency-Key": f"answer-{message['id']}"})
        with self.changed:
            self.answered[message["id"]] = reply
            self.changed.notify_all()


def receiver(shop, port=0):
    """Return a server that takes the shop's webhooks; its secret is to be set before the first comes."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers.get("content-length", 0))
            if not 0 <= length <= 1 << 20:
                return self.reply(413)
            body = self.rfile.read(length)
            if not verified(self.server.secret, self.headers, body):
                return self.reply(401)
            shop.handle(json.loads(body))  # when it raises, nothing is answered, and the webhook is tried again
            self.reply(204)

        def reply(self, status):
            self.send_response(status)
            self.end_headers()

        def log_request(self, *_):
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Receiver)

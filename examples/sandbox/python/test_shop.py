"""The shop's integration test. The sandbox stands in for WhatsApp: a test key is all that makes the difference."""

import os, random, threading, unittest

from portaria import Portaria
from shop import Order, Shop, receiver

# Magic recipients: what happens to a message is in the number.
READS_IT = "+15005550006"
NOT_A_NUMBER = "+15005550001"
NOT_ON_WHATSAPP = "+15005550009"

PATIENCE = 60  # seconds; it costs nothing where things work


class ShopTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.portaria = Portaria(os.environ["PORTARIA_API_KEY"], os.environ.get("PORTARIA_URL", "http://127.0.0.1:8080"))
        me = cls.portaria.ask("GET", "/v1/me")
        assert me["environment"] == "test", "this test never runs on real numbers"
        cls.instance = me["instances"][0]["id"]  # the key is locked to one
        cls.shop = Shop(cls.portaria)
        cls.server = receiver(cls.shop)
        cls.addClassCleanup(cls.server.server_close)
        webhook = cls.portaria.ask("POST", "/v1/webhooks", {
            "url": f"http://127.0.0.1:{cls.server.server_port}/", "events": ["message.delivered", "message.failed", "message.received"],
        })
        cls.server.secret = webhook["secret"]
        cls.addClassCleanup(cls.portaria.ask, "DELETE", f"/v1/webhooks/{webhook['id']}")
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.server.shutdown)

    def order(self, phone):
        made = Order(str(random.randrange(10**9)), phone)
        self.shop.orders[made.number] = made
        return made

    def until(self, happened):
        with self.shop.changed:
            self.assertTrue(self.shop.changed.wait_for(happened, PATIENCE), "it does not happen")

    def control(self, what, **body):
        return self.portaria.ask("POST", f"/v1/sandbox/instances/{self.instance}/{what}", body)

    def carried(self):
        """What contacts have got, newest first."""
        return [row["content"].get("body") for row in self.portaria.ask("GET", "/v1/sandbox/messages?limit=200")]

    def test_a_customer_is_told(self):
        pizza = self.order(READS_IT)
        self.shop.order_ready(pizza.number)
        self.until(lambda: pizza.notice == "told")

    def test_telling_twice_sends_once(self):
        pizza = self.order(READS_IT)
        self.shop.order_ready(pizza.number)
        self.shop.order_ready(pizza.number)
        self.until(lambda: pizza.notice == "told")
        self.assertEqual(self.carried().count(f"Your order {pizza.number} is ready."), 1)

    def test_a_lost_connection_loses_and_doubles_nothing(self):
        pizza = self.order(READS_IT)
        self.control("drop")
        self.shop.order_ready(pizza.number)
        self.control("reconnect")
        self.until(lambda: pizza.notice == "told")
        self.assertEqual(self.carried().count(f"Your order {pizza.number} is ready."), 1)

    def test_who_is_not_on_whatsapp_is_called(self):
        pizza = self.order(NOT_ON_WHATSAPP)
        self.shop.order_ready(pizza.number)
        self.until(lambda: pizza.notice == "call")

    def test_a_number_that_cannot_be_is_called_too(self):
        pizza = self.order(NOT_A_NUMBER)
        self.shop.order_ready(pizza.number)
        self.assertEqual(pizza.notice, "call")

    def test_who_asks_for_an_order_is_answered(self):
        pizza = self.order(READS_IT)
        asked = self.control("inbound", **{"from": "+5511912345678", "text": f"Where is my order {pizza.number}?"})
        self.until(lambda: self.shop.answered.get(asked["id"]) == f"Order {pizza.number} is in the oven.")

    def test_stop_is_obeyed(self):
        phone = "+5511912345679"
        self.control("inbound", **{"from": phone, "text": "stop"})
        self.until(lambda: "5511912345679@s.whatsapp.net" in self.shop.silent)
        pizza = self.order(phone)
        self.shop.order_ready(pizza.number)
        self.assertEqual(pizza.notice, "none")


if __name__ == "__main__":
    unittest.main()

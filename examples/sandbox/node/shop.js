// A shop that tells its customers about their orders.
import {EventEmitter} from 'node:events';

const whatsAppID = (phone) => `${phone.replace(/\D/g, '')}@s.whatsapp.net`;

export class Shop extends EventEmitter {
  constructor(portaria) {
    super();
    this.portaria = portaria;
    this.orders = new Map(); // by number: {number, phone, state, notice}
    this.silent = new Set(); // who said STOP, as WhatsApp calls them
  }

  // orderReady tells the customer. What came of it is the order's notice: told, call (by phone) or none.
  async orderReady(number) {
    const order = this.orders.get(number);
    order.state = 'ready';
    if (this.silent.has(whatsAppID(order.phone))) return this.notice(order, 'none');
    try {
      await this.portaria.ask('POST', '/v1/messages', {
        to: order.phone, text: `Your order ${number} is ready.`, metadata: {order: number},
      }, {'Idempotency-Key': `order-${number}-ready`}); // to repeat it is harmless
    } catch (refused) {
      if (refused.code !== 'INVALID_RECIPIENT') throw refused;
      this.notice(order, 'call');
    }
  }

  notice(order, what) {
    order.notice = what;
    this.emit('notice', order);
  }

  // handle takes an event. It may come twice, and must do no harm then.
  async handle({type, data: {message}}) {
    const order = this.orders.get(message.metadata?.order);
    switch (type) {
      case 'message.delivered':
        if (order) this.notice(order, 'told');
        break;
      case 'message.failed':
        if (order && message.error.code === 'NOT_ON_WHATSAPP') this.notice(order, 'call');
        break;
      case 'message.received':
        await this.answer(message);
    }
  }

  async answer({id, from, type, content}) {
    if (type !== 'text') return;
    const text = content.body.trim();
    if (text.toUpperCase() === 'STOP') {
      this.silent.add(from.wa_id);
      this.emit('silent', from.wa_id);
      return;
    }
    const order = this.orders.get(text.match(/\b\d+\b/)?.[0]);
    const reply = order ? `Order ${order.number} is ${order.state}.` : 'Which order? Send its number.';
    await this.portaria.ask('POST', '/v1/messages', {to: from.wa_id, text: reply, reply_to: id}, {'Idempotency-Key': `answer-${id}`});
    this.emit('answered', from.wa_id, reply);
  }

  async follow(signal, opened) {
    for await (const event of this.portaria.events(signal, opened)) await this.handle(event);
  }
}

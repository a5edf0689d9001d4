// The shop's integration test. The sandbox stands in for WhatsApp: a test key is all that makes the difference.
import {after, before, test} from 'node:test';
import assert from 'node:assert/strict';
import {once} from 'node:events';
import {Portaria} from './portaria.js';
import {Shop} from './shop.js';

// Magic recipients: what happens to a message is in the number.
const READS_IT = '+15005550006';
const NOT_A_NUMBER = '+15005550001';
const NOT_ON_WHATSAPP = '+15005550009';

const patience = {timeout: 60_000}; // it costs nothing where things work

const portaria = new Portaria({url: process.env.PORTARIA_URL, key: process.env.PORTARIA_API_KEY});
const shop = new Shop(portaria);
const end = new AbortController();
let instance, following;

before(async () => {
  const me = await portaria.ask('GET', '/v1/me');
  assert.equal(me.environment, 'test', 'this test never runs on real numbers');
  instance = me.instances[0].id; // the key is locked to one
  await new Promise((opened, failed) => {
    following = shop.follow(end.signal, opened).catch((why) => end.signal.aborted || failed(why));
  });
}, patience);

after(async () => {
  end.abort();
  await following;
});

const number = () => String(Math.floor(Math.random() * 1e9));
const order = (phone) => {
  const made = {number: number(), phone, state: 'in the oven'};
  shop.orders.set(made.number, made);
  return made;
};
const write = (from, text) => portaria.ask('POST', `/v1/sandbox/instances/${instance}/inbound`, {from, text});

test('a customer is told', patience, async () => {
  const pizza = order(READS_IT);
  await Promise.all([once(shop, 'notice'), shop.orderReady(pizza.number)]);
  assert.equal(pizza.notice, 'told');
});

test('telling twice sends once', patience, async () => {
  const pizza = order(READS_IT);
  await Promise.all([once(shop, 'notice'), shop.orderReady(pizza.number)]);
  await shop.orderReady(pizza.number);
  const carried = await portaria.ask('GET', '/v1/sandbox/messages?limit=200');
  assert.equal(carried.filter((row) => row.content.body === `Your order ${pizza.number} is ready.`).length, 1);
});

test('who is not on WhatsApp is called', patience, async () => {
  const pizza = order(NOT_ON_WHATSAPP);
  await Promise.all([once(shop, 'notice'), shop.orderReady(pizza.number)]);
  assert.equal(pizza.notice, 'call');
});

test('a number that cannot be is called, too', patience, async () => {
  const pizza = order(NOT_A_NUMBER);
  await shop.orderReady(pizza.number);
  assert.equal(pizza.notice, 'call');
});

test('who asks for an order is answered', patience, async () => {
  const pizza = order(READS_IT);
  const [[, reply]] = await Promise.all([once(shop, 'answered'), write('+5511912345678', `Where is my order ${pizza.number}?`)]);
  assert.equal(reply, `Order ${pizza.number} is in the oven.`);
});

test('STOP is obeyed', patience, async () => {
  const phone = '+5511912345679';
  await Promise.all([once(shop, 'silent'), write(phone, 'stop')]);
  const pizza = order(phone);
  await shop.orderReady(pizza.number);
  assert.equal(pizza.notice, 'none');
});

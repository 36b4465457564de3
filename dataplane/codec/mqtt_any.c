/* mqtt_any.c - see mqtt_any.h. */
#include "dataplane/codec/mqtt_any.h"

enum err mqtt_any_decode(const struct mqtt_frame *f, enum mqtt_version v, struct mqtt_any *out)
{
	enum err e = ERR_NONE;

	out->type = f->type;
	out->version = v;
	out->payload_size = f->payload_size;
	switch (f->type) {
	case MQTT_CONNECT:
		e = mqtt_decode_connect(f, &out->connect);
		out->version = out->connect.version;
		return e;
	case MQTT_CONNACK:
		return mqtt_decode_connack(f, v, &out->connack);
	case MQTT_PUBLISH:
		return mqtt_decode_publish(f, v, &out->publish);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return mqtt_decode_ack(f, v, &out->ack);
	case MQTT_SUBSCRIBE:
		return mqtt_decode_subscribe(f, v, &out->subscribe);
	case MQTT_UNSUBSCRIBE:
		return mqtt_decode_unsubscribe(f, v, &out->subscribe);
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		return mqtt_decode_suback(f, v, &out->suback);
	case MQTT_DISCONNECT:
	case MQTT_AUTH:
		return mqtt_decode_reason(f, v, &out->reason);
	case MQTT_PINGREQ:
	case MQTT_PINGRESP:
		break;
	}
	return ERR_NONE;
}

static bool encode_filters(struct writer *w, const struct mqtt_any *p)
{
	struct mqtt_subscribe walk = p->subscribe;
	struct mqtt_filter filters[MQTT_ANY_FILTERS_MAX];
	size_t count = 0;

	if (p->subscribe.filter_count > MQTT_ANY_FILTERS_MAX)
		return false;
	while (mqtt_next_filter(&walk, &filters[count]))
		if (++count == MQTT_ANY_FILTERS_MAX)
			break;
	mqtt_encode_subscribe(w, p->type, p->version, p->subscribe.packet_id, &p->subscribe.props,
		filters, count);
	return true;
}

bool mqtt_any_encode(struct writer *w, const struct mqtt_any *p)
{
	switch (p->type) {
	case MQTT_CONNECT:
		mqtt_encode_connect(w, &p->connect);
		break;
	case MQTT_CONNACK:
		mqtt_encode_connack(w, p->version, &p->connack);
		break;
	case MQTT_PUBLISH:
		mqtt_encode_publish(w, p->version, &p->publish, p->payload_size);
		break;
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		mqtt_encode_ack(w, p->type, p->version, &p->ack);
		break;
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		return encode_filters(w, p);
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		mqtt_encode_suback(w, p->type, p->version, &p->suback);
		break;
	case MQTT_DISCONNECT:
	case MQTT_AUTH:
		mqtt_encode_reason(w, p->type, p->version, &p->reason);
		break;
	case MQTT_PINGREQ:
	case MQTT_PINGRESP:
		mqtt_encode_empty(w, p->type);
		break;
	}
	return true;
}

const struct mqtt_props *mqtt_any_props(const struct mqtt_any *p)
{
	switch (p->type) {
	case MQTT_CONNECT:
		return &p->connect.props;
	case MQTT_CONNACK:
		return &p->connack.props;
	case MQTT_PUBLISH:
		return &p->publish.props;
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return &p->ack.props;
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		return &p->subscribe.props;
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		return &p->suback.props;
	case MQTT_DISCONNECT:
	case MQTT_AUTH:
		return &p->reason.props;
	case MQTT_PINGREQ:
	case MQTT_PINGRESP:
		break;
	}
	return NULL;
}

static bool users_equal(const struct mqtt_props *a, const struct mqtt_props *b)
{
	struct reader ra = reader_of(a->raw);
	struct reader rb = reader_of(b->raw);
	struct span ka, kb, va, vb;

	while (mqtt_next_user(&ra, &ka, &va))
		if (!mqtt_next_user(&rb, &kb, &vb) || !span_equal(ka, kb) || !span_equal(va, vb))
			return false;
	return !mqtt_next_user(&rb, &kb, &vb);
}

static bool prop_numbers_equal(const struct mqtt_props *a, const struct mqtt_props *b)
{
	return a->has == b->has && a->session_expiry_s == b->session_expiry_s &&
	       a->message_expiry_s == b->message_expiry_s && a->will_delay_s == b->will_delay_s &&
	       a->packet_size_max == b->packet_size_max &&
	       a->subscription_id_count == b->subscription_id_count &&
	       memcmp(a->subscription_ids, b->subscription_ids, sizeof(a->subscription_ids)) == 0 &&
	       a->payload_format == b->payload_format && a->request_problem == b->request_problem &&
	       a->request_response == b->request_response && a->qos_max == b->qos_max &&
	       a->retain_available == b->retain_available &&
	       a->wildcard_available == b->wildcard_available &&
	       a->sub_ids_available == b->sub_ids_available &&
	       a->shared_available == b->shared_available &&
	       a->server_keepalive_s == b->server_keepalive_s && a->receive_max == b->receive_max &&
	       a->topic_alias_max == b->topic_alias_max && a->topic_alias == b->topic_alias;
}

static bool props_equal(const struct mqtt_props *a, const struct mqtt_props *b)
{
	return prop_numbers_equal(a, b) && users_equal(a, b) && a->user_split == b->user_split &&
	       span_equal(a->user, b->user) && span_equal(a->content_type, b->content_type) &&
	       span_equal(a->response_topic, b->response_topic) &&
	       span_equal(a->correlation, b->correlation) &&
	       span_equal(a->assigned_client_id, b->assigned_client_id) &&
	       span_equal(a->auth_method, b->auth_method) &&
	       span_equal(a->auth_data, b->auth_data) &&
	       span_equal(a->response_info, b->response_info) &&
	       span_equal(a->server_reference, b->server_reference) &&
	       span_equal(a->reason_string, b->reason_string);
}

static bool connects_equal(const struct mqtt_connect *a, const struct mqtt_connect *b)
{
	return a->version == b->version && a->clean_start == b->clean_start &&
	       a->has_will == b->has_will && a->will_retain == b->will_retain &&
	       a->will_qos == b->will_qos && a->has_username == b->has_username &&
	       a->has_password == b->has_password && a->keepalive_s == b->keepalive_s &&
	       span_equal(a->client_id, b->client_id) &&
	       props_equal(&a->will_props, &b->will_props) &&
	       span_equal(a->will_topic, b->will_topic) &&
	       span_equal(a->will_payload, b->will_payload) &&
	       span_equal(a->username, b->username) && span_equal(a->password, b->password);
}

static bool subscribes_equal(struct mqtt_subscribe a, struct mqtt_subscribe b)
{
	struct mqtt_filter fa, fb;

	if (a.packet_id != b.packet_id || a.filter_count != b.filter_count)
		return false;
	while (mqtt_next_filter(&a, &fa)) {
		if (!mqtt_next_filter(&b, &fb) || !span_equal(fa.filter, fb.filter))
			return false;
		if (fa.qos != fb.qos || fa.no_local != fb.no_local ||
			fa.retain_as_published != fb.retain_as_published ||
			fa.retain_handling != fb.retain_handling)
			return false;
	}
	return !mqtt_next_filter(&b, &fb);
}

static bool publishes_equal(const struct mqtt_publish *a, const struct mqtt_publish *b)
{
	return a->dup == b->dup && a->retain == b->retain && a->qos == b->qos &&
	       a->packet_id == b->packet_id && span_equal(a->topic, b->topic);
}

static bool rest_equal(const struct mqtt_any *a, const struct mqtt_any *b)
{
	switch (a->type) {
	case MQTT_CONNECT:
		return connects_equal(&a->connect, &b->connect);
	case MQTT_CONNACK:
		return a->connack.session_present == b->connack.session_present &&
		       a->connack.reason == b->connack.reason;
	case MQTT_PUBLISH:
		return publishes_equal(&a->publish, &b->publish);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return a->ack.packet_id == b->ack.packet_id && a->ack.reason == b->ack.reason;
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		return subscribes_equal(a->subscribe, b->subscribe);
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		return a->suback.packet_id == b->suback.packet_id &&
		       span_equal(a->suback.reasons, b->suback.reasons);
	case MQTT_DISCONNECT:
	case MQTT_AUTH:
		return a->reason.reason == b->reason.reason;
	case MQTT_PINGREQ:
	case MQTT_PINGRESP:
		break;
	}
	return true;
}

bool mqtt_any_equal(const struct mqtt_any *a, const struct mqtt_any *b)
{
	if (a->type != b->type || a->version != b->version || a->payload_size != b->payload_size)
		return false;
	const struct mqtt_props *props = mqtt_any_props(a);
	if (props != NULL && !props_equal(props, mqtt_any_props(b)))
		return false;
	return rest_equal(a, b);
}

//! The way in for what is sent to this program: log drains, reports of adapters, pushed samples. Who may send, how much, and
//! what it means is the measure room's [`Intake`]; here its body is read.

use std::sync::Arc;

use autoscalebot_measure::Intake;
use autoscalebot_measure::intake::Reply;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Takes a request that [`Intake::is_for`] knows.
pub(crate) async fn take(intake: &Arc<Intake>, path: &str, request: Request) -> Response {
    let ticket = match intake.admit(request.method().as_str(), path, request.headers()) {
        Ok(ticket) => ticket,
        Err(reply) => return answer(reply),
    };
    let Ok(body) = to_bytes(request.into_body(), ticket.limit()).await else {
        return answer(ticket.too_large());
    };
    answer(ticket.accept(&body))
}

fn answer(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type))];
    let mut response = (status, content_type, reply.body).into_response();
    let again = reply.retry_after_secs.map(|secs| (header::RETRY_AFTER, HeaderValue::from(secs)));
    response.headers_mut().extend(again);
    response
}

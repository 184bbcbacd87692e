//! The way in for what is sent to this program: log drains, reports of adapters, pushed samples. Who may send, how much, and
//! what it means is the measure room's [`Intake`]; here its body is read.
//!
//! A body that is not wanted is read all the same, as far as any that is wanted, and thrown away as it comes: who writes while
//! the other side closes sees a broken connection instead of the answer, and Heroku would send the same twice more.

use std::sync::Arc;
use std::time::Duration;

use autoscalebot_measure::Intake;
use autoscalebot_measure::intake::Reply;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;

use crate::places::Seat;

/// The longest that a body may take; Heroku gives up sooner. Room is kept for it so long.
const COMING: Duration = Duration::from_secs(10);
/// How much of a body that is not wanted is read, in bytes.
const PASSED_OVER: usize = 4 << 20;
/// For how long it is read.
const PASSING_OVER: Duration = Duration::from_secs(5);

/// Takes a request that [`Intake::is_for`] knows.
pub(crate) async fn take(intake: &Arc<Intake>, path: &str, request: Request) -> Response {
    let seat = request.extensions().get::<Seat>().cloned();
    let (reply, known) = match intake.admit(request.method().as_str(), path, request.headers()) {
        Ok(ticket) => {
            let body = to_bytes(request.into_body(), ticket.limit());
            match tokio::time::timeout(COMING, body).await {
                Ok(Ok(body)) => (ticket.accept(&body), true),
                Ok(Err(_)) => (ticket.too_large(), true),
                Err(_) => (ticket.too_slow(), false),
            }
        }
        Err(reply) => {
            let _ = tokio::time::timeout(PASSING_OVER, pass_over(request.into_body())).await;
            // Whom there is no room for now is known.
            let known = reply.status == StatusCode::OK || reply.retry_after_secs.is_some();
            (reply, known)
        }
    };
    let mut response = answer(reply);
    // Nobody stays who is not known, nor anybody in a place of people.
    if seat.is_some_and(|seat| !known || !seat.is_senders()) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Reads a body and keeps nothing of it.
async fn pass_over(body: Body) {
    let (mut body, mut left) = (body.into_data_stream(), PASSED_OVER);
    while let Some(Ok(piece)) = body.next().await {
        left = left.saturating_sub(piece.len());
        if left == 0 {
            return;
        }
    }
}

fn answer(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type))];
    let mut response = (status, content_type, reply.body).into_response();
    let again = reply.retry_after_secs.map(|secs| (header::RETRY_AFTER, HeaderValue::from(secs)));
    response.headers_mut().extend(again);
    if let Some(secs) = reply.push_every_secs {
        response.headers_mut().insert("hirefire-resource-dispatch-interval", HeaderValue::from(secs));
    }
    response
}
